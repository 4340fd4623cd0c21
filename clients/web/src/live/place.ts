/** When something was said, in milliseconds; of a beginning or an end only that is known. */
interface Times {
  startMs?: bigint;
  endMs?: bigint;
}

/** Where a session lies in all the sound of its caller: not at its beginning when an earlier one was forgotten. */
export class Place {
  /** The session begins at `beginMs`; in each channel, the last final before it ended at `saidMs`. */
  constructor(
    readonly beginMs = 0,
    private readonly saidMs: ReadonlyMap<number, bigint> = new Map(),
  ) {}

  /** A position in the session, counted from the beginning of the sound. */
  at(ms: bigint): number {
    return this.beginMs + Number(ms);
  }

  /** Has the times of an event count from the beginning of the sound. */
  shift(event: Times & { words?: Times[] }): void {
    for (const times of [event, ...(event.words ?? [])]) {
      for (const name of ["startMs", "endMs"] as const) {
        const ms = times[name];
        if (ms !== undefined) {
          times[name] = ms + BigInt(this.beginMs);
        }
      }
    }
  }

  /** Whether an earlier session told of this, which is heard again: it lies before the end of the last final. */
  wasTold({ channel, startMs, endMs }: Times & { channel: number }): boolean {
    const saidMs = this.saidMs.get(channel);
    if (saidMs === undefined) {
      return false;
    }
    return endMs === undefined ? (startMs ?? saidMs) < saidMs : endMs <= saidMs;
  }
}
