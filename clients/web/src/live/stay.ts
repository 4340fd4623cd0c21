import type { Cursors } from "../../gen/ai2text/asr/v1/result_pb.js";
import { type Captions, isClosing } from "./captions.js";
import type { Link } from "./link.js";
import { lost } from "./losses.js";
import { pause } from "./pause.js";
import type { Tape } from "./tape.js";

const KEEPALIVE_MS = 20_000;

/** How a stay is to go. */
export interface Manner {
  /** Pushes on the way at once. */
  readonly inFlight: number;
  /** How long finals may be due before the watch is held to be dead, in milliseconds. */
  readonly overdueMs: number;
  /** Aborted: leave. */
  readonly signal?: AbortSignal;
}

/** One stay of a session on one server: sends what is on the tape, and takes what is told. For one use. */
export class Stay {
  private readonly stop = new AbortController();
  private closing = false;
  /** How many finals the session has, once it is known. */
  private total = Infinity;
  private overdueSince: number | undefined;

  constructor(
    private readonly link: Link,
    private readonly tape: Tape,
    private readonly captions: Captions,
    private readonly manner: Manner,
  ) {}

  /**
   * Goes on until the tape was closed and all finals were taken. Throws what it failed with; `isLoss` and `isGone` say
   * whether the session may be resumed. Nothing of it runs any more afterwards.
   */
  async last(): Promise<void> {
    const { signal } = this.manner;
    const leave = (): void => this.stop.abort(signal?.reason);
    signal?.addEventListener("abort", leave);
    const beat = setInterval(() => this.tape.keepAlive(), KEEPALIVE_MS);
    const tasks = [this.watch(), this.send()];
    try {
      signal?.throwIfAborted();
      await Promise.race(tasks);
    } catch (thrown) {
      if (this.captions.nextFinalIndex < this.total) {
        throw thrown;
      } // else all was said before it broke
    } finally {
      clearInterval(beat);
      signal?.removeEventListener("abort", leave);
      this.stop.abort();
      await Promise.allSettled(tasks);
    }
  }

  /** Takes events until the session has ended. */
  private async watch(): Promise<void> {
    for await (const event of this.link.watch(() => this.captions.nextFinalIndex, this.stop.signal)) {
      this.captions.take(event);
      this.tape.settle(this.captions.place.at(event.cursors?.finalMs ?? 0n));
      if (isClosing(event) && !this.closing) {
        throw lost("the server is about to stop", "DRAINING");
      }
    }
    if (!this.closing) {
      throw lost("the watch ended before the session was closed");
    }
  }

  /** Sends what is on the tape until it is closed, then closes the session. Only ever ends by an error. */
  private async send(): Promise<never> {
    await Promise.all(Array.from({ length: this.manner.inFlight }, () => this.push()));
    this.closing = true;
    const { finalIndex } = await this.link.close(this.stop.signal);
    this.total = finalIndex;
    await pause(this.manner.overdueMs, this.stop.signal);
    throw lost("the session was closed, but its last finals did not come");
  }

  /** One of those who push, piece after piece. */
  private async push(): Promise<void> {
    const { signal } = this.stop;
    for (let piece = await this.tape.take(signal); piece !== undefined; piece = await this.tape.take(signal)) {
      const cursors = await this.link.push(piece, signal);
      this.tape.settle(this.captions.place.at(cursors.finalMs));
      this.checkWatch(cursors);
    }
  }

  /** Throws a loss when pushes have told for long of finals that the watch does not bring. */
  private checkWatch({ finalIndex }: Cursors): void {
    const now = performance.now();
    this.overdueSince = finalIndex > this.captions.nextFinalIndex ? (this.overdueSince ?? now) : undefined;
    if (this.overdueSince !== undefined && now - this.overdueSince > this.manner.overdueMs) {
      throw lost("the watch brings no more finals");
    }
  }
}
