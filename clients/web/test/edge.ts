import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

/** A server in this process that speaks gRPC-web, on a free port. */
export class Edge implements AsyncDisposable {
  private constructor(
    private readonly server: Server,
    private readonly port: number,
  ) {}

  static async serving(routes: (router: ConnectRouter) => void): Promise<Edge> {
    const server = createServer(connectNodeAdapter({ routes }));
    await listen(server, 0);
    return new Edge(server, (server.address() as AddressInfo).port);
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Cuts every connection, and takes no new ones for so long. */
  async cut(ms: number): Promise<void> {
    await this.close();
    await new Promise((resolve) => setTimeout(resolve, ms));
    await listen(this.server, this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
}
