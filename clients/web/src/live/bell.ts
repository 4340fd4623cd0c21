/** Lets tasks sleep until something has changed; each then looks for itself whether it concerns them. */
export class Bell {
  private readonly sleepers = new Set<() => void>();

  /** Wakes everybody who waits now. */
  ring(): void {
    const woken = [...this.sleepers];
    this.sleepers.clear();
    for (const wake of woken) {
      wake();
    }
  }

  /** Resolves when the bell rings next; rejects when `signal` is aborted before. */
  async heard(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    let wake = (): void => {};
    let give = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        wake = resolve;
        give = () => reject(signal?.reason);
        this.sleepers.add(wake);
        signal?.addEventListener("abort", give);
      });
    } finally {
      this.sleepers.delete(wake);
      signal?.removeEventListener("abort", give);
    }
  }
}
