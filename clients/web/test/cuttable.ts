import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** A way to an address whose connections can be cut. */
export class Cuttable implements AsyncDisposable {
  private readonly sockets = new Set<Socket>();
  private passing = true;

  private constructor(private readonly server: Server) {}

  static async to(endpoint: string): Promise<Cuttable> {
    const { hostname, port } = new URL(endpoint);
    const way = new Cuttable(createServer());
    way.server.on("connection", (near) => way.join(near, connect(Number(port), hostname)));
    await new Promise<void>((resolve) => way.server.listen(0, "127.0.0.1", resolve));
    return way;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Cuts every connection, and each new one for so long. */
  async cut(ms: number): Promise<void> {
    this.passing = false;
    this.destroy();
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.passing = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private join(near: Socket, far: Socket): void {
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      this.sockets.add(socket);
      socket.on("error", () => {}); // its close follows
      socket.on("close", () => {
        this.sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
    if (!this.passing) {
      near.destroy();
    }
  }

  private destroy(): void {
    for (const socket of this.sockets) {
      socket.destroy();
    }
  }
}
