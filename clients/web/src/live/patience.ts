import { pause } from "./pause.js";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;

/** How long and how often to try again after a loss: at once, then after growing pauses, until the time is up. */
export class Patience {
  private attempts = 0;
  private until = 0;

  /** `limitMs`: how long after the first loss it may be tried again. */
  constructor(private readonly limitMs: number) {}

  /** Things went well for a while: the next loss is a first one. */
  restore(): void {
    this.attempts = 0;
  }

  /** Resolves when it is time for the next attempt, not before `advisedMs`. Rejects with `lost` when the time is up. */
  async wait(lost: unknown, advisedMs: number, signal?: AbortSignal): Promise<void> {
    const now = performance.now();
    if (this.attempts === 0) {
      this.until = now + this.limitMs;
    }
    const ms = Math.max(advisedMs, this.backOffMs());
    if (now + ms > this.until) {
      throw lost;
    }
    this.attempts += 1;
    await pause(ms, signal);
  }

  private backOffMs(): number {
    if (this.attempts === 0) {
      return 0;
    }
    const grown = Math.min(FIRST_PAUSE_MS * 2 ** (this.attempts - 1), LONGEST_PAUSE_MS);
    return grown * (0.5 + Math.random() / 2); // not all clients of a lost server at once
  }
}
