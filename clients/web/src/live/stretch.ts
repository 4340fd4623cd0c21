/** What a client has to say, in order: audio, silence in place of it, and signs that take no time. */
export type Saying =
  | { readonly kind: "audio"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "silence"; readonly ms: number }
  | { readonly kind: "end of utterance" }
  | { readonly kind: "keepalive" };

/** One saying and where it lies. Positions are bytes of audio since the session began. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly saying: Saying;
}

/** The part of a stretch from `position` on. */
export function after(position: number, { from, to, saying }: Stretch): Stretch {
  const cut = position - from;
  switch (saying.kind) {
    case "audio":
      return { from: position, to, saying: { kind: "audio", bytes: saying.bytes.subarray(cut) } };
    case "silence":
      return { from: position, to, saying: { kind: "silence", ms: saying.ms * (1 - cut / (to - from)) } };
    default:
      return { from: position, to, saying };
  }
}

/** As many of the first sayings as may go together in one piece of at most `limit` bytes: audio, or else just one. */
export function countTogether(stretches: readonly Stretch[], head: number, limit: number): number {
  let count = 0;
  let bytes = 0;
  for (let next = stretches[head]; next?.saying.kind === "audio"; next = stretches[head + count]) {
    bytes += next.saying.bytes.length;
    if (bytes > limit) {
      break;
    }
    count += 1;
  }
  return Math.max(1, count);
}

/** Sayings that go together as one. */
export function joined(together: readonly Stretch[]): Saying {
  const parts = together.flatMap(({ saying }) => (saying.kind === "audio" ? [saying.bytes] : []));
  if (parts.length < 2) {
    return together[0]!.saying;
  }
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { kind: "audio", bytes };
}
