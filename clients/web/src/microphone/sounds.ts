import { Bell } from "../live/bell.js";

/** What a microphone heard and nobody has taken yet. A device cannot be held back, so there is a limit to it. */
export class Sounds implements AsyncIterable<Uint8Array> {
  private readonly bell = new Bell();
  private readonly waiting: Uint8Array[] = [];
  private bytes = 0;
  private over = false;
  private failure: unknown;

  constructor(private readonly limitBytes: number) {}

  /** Adds a piece. When nobody has taken any for too long, the sounds end with a RangeError. */
  add(piece: Uint8Array): void {
    if (this.over || piece.length === 0) {
      return;
    }
    this.waiting.push(piece);
    this.bytes += piece.length;
    if (this.bytes > this.limitBytes) {
      this.end(new RangeError("the sound of the microphone was not taken for too long"));
    }
    this.bell.ring();
  }

  /** No more comes; with `failure`, because of that. */
  end(failure?: unknown): void {
    this.failure ??= failure;
    this.over = true;
    this.bell.ring();
  }

  /** The pieces in order. Throws what the sounds ended with, if not well. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.waiting.shift();
      if (piece !== undefined) {
        this.bytes -= piece.length;
        yield piece;
      } else if (this.over) {
        break;
      } else {
        await this.bell.heard();
      }
    }
    if (this.failure !== undefined) {
      throw this.failure;
    }
  }
}
