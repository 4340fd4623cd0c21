import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

/** A server in this process that speaks gRPC-web, on a free port. */
export class Edge implements AsyncDisposable {
  private constructor(
    readonly endpoint: string,
    private readonly close: () => Promise<void>,
  ) {}

  static async serving(routes: (router: ConnectRouter) => void): Promise<Edge> {
    const server = createServer(connectNodeAdapter({ routes }));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return new Edge(`http://127.0.0.1:${port}`, async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
