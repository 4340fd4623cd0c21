import { AudioEncoding, type AudioFormat } from "../../gen/ai2text/asr/v1/audio_pb.js";
import { Bell } from "./bell.js";
import { after, countTogether, joined, type Saying, type Stretch } from "./stretch.js";

const PIECE_BYTES = 64 * 1024;
const BYTES_PER_SAMPLE = 2;
/** LINEAR16 that is kept although it is settled: a server whose last note of the session was lost may want it again. */
const KEPT_MS = 60_000;
/** What is kept at most to be sent again: nine hours of Opus. */
const KEPT_BYTES = 256 * 1024 * 1024;
const LONGEST_SILENCE_MS = 60_000;
/** How many times its capacity a tape takes from a caller who does not wait for room. */
const OVERDRAFT = 16;

/** One saying, or audio of several, numbered within one stay on a server. */
export interface Piece {
  readonly sequence: bigint;
  readonly saying: Saying;
}

/**
 * What was said and may have to be said again: what waits to be sent, and what the server had but has not settled.
 * After a loss it is rewound.
 *
 * LINEAR16 is forgotten a minute after it was settled, for each byte of it has a known time. Any other encoding is kept
 * whole, because it must be sent again from its header on.
 */
export class Tape {
  private readonly bell = new Bell();
  private readonly stretches: Stretch[] = [];
  /** The first stretch that was not taken since the last rewind. */
  private head = 0;
  /** The end of what was ever taken, and of all there is. */
  private taken = 0;
  private end = 0;
  private sequence = 0n;
  private quiet = false;
  private closed = false;
  private failure: unknown;

  /** `capacity`: how many bytes may wait before `room` makes callers wait. */
  constructor(
    private readonly format: AudioFormat,
    private readonly capacity: number,
  ) {}

  /** Adds audio, which is copied. Throws RangeError when far too much waits already. */
  append(audio: Uint8Array): void {
    if (this.end - this.taken + audio.length > this.capacity * OVERDRAFT) {
      throw new RangeError(`more than ${this.capacity * OVERDRAFT} bytes would wait to be sent: await each push`);
    }
    for (let begin = 0; begin < audio.length; begin += PIECE_BYTES) {
      const bytes = new Uint8Array(audio.subarray(begin, begin + PIECE_BYTES));
      this.add({ kind: "audio", bytes }, bytes.length);
    }
    this.forget(this.end - KEPT_BYTES, this.head);
  }

  /** Adds silence that is not sent, at most a minute. Throws TypeError unless the audio is LINEAR16, and RangeError. */
  silence(ms: number): void {
    if (!this.isLinear) {
      throw new TypeError("only from LINEAR16 silence can be left out");
    }
    if (!(ms > 0 && ms <= LONGEST_SILENCE_MS)) {
      // A server would refuse it, and that would end the session.
      throw new RangeError(`silence lasts more than 0 and at most ${LONGEST_SILENCE_MS} ms, not ${ms}`);
    }
    this.add({ kind: "silence", ms }, this.bytesUntil(ms));
  }

  /** Ends the utterance here. */
  endUtterance(): void {
    this.add({ kind: "end of utterance" }, 0);
  }

  /** Adds a sign of life, unless something was taken since the last call, or waits. */
  keepAlive(): void {
    if (this.quiet && this.head === this.stretches.length && !this.closed) {
      this.add({ kind: "keepalive" }, 0);
    }
    this.quiet = true;
  }

  /** No more comes. */
  close(): void {
    this.closed = true;
    this.bell.ring();
  }

  /** The session has failed: nothing is taken any more. */
  fail(failure: unknown): void {
    this.failure = failure;
    this.close();
  }

  /** Resolves when there is room for more; rejects with what the session failed with. */
  async room(): Promise<void> {
    while (this.failure === undefined && this.end - this.taken > this.capacity) {
      await this.bell.heard();
    }
    if (this.failure !== undefined) {
      throw this.failure;
    }
  }

  /** The next piece, once there is one; undefined when no more comes. Audio that waits is joined into larger pieces. */
  async take(signal: AbortSignal): Promise<Piece | undefined> {
    while (this.head === this.stretches.length && !this.closed) {
      await this.bell.heard(signal);
    }
    signal.throwIfAborted();
    const count = countTogether(this.stretches, this.head, PIECE_BYTES);
    const together = this.stretches.slice(this.head, this.head + count);
    if (together.length === 0) {
      return undefined;
    }
    this.head += together.length;
    this.taken = Math.max(this.taken, together.at(-1)!.to);
    this.quiet = false;
    this.bell.ring();
    return { sequence: this.sequence++, saying: joined(together) };
  }

  /** Audio before `ms` should not have to be sent again. */
  settle(ms: number): void {
    if (this.isLinear) {
      this.forget(this.bytesUntil(ms - KEPT_MS), this.head);
    }
  }

  /** Where a session begins that is to hear what comes after `saidMs` of each channel, in whole milliseconds. */
  beginAfter(saidMs: ReadonlyMap<number, bigint>): number {
    if (!this.isLinear) {
      return 0;
    }
    const channels = Array.from({ length: this.channels }, (_, channel) => Number(saidMs.get(channel) ?? 0n));
    const kept = Math.ceil((this.stretches[0]?.from ?? this.end) / (BYTES_PER_SAMPLE * this.channels));
    return Math.max(Math.ceil((kept * 1000) / this.format.sampleRateHz), Math.min(...channels));
  }

  /** Whether the tape was closed, and holds nothing from `ms` on. Only of LINEAR16 that is known. */
  isSaidBy(ms: number): boolean {
    return this.closed && this.isLinear && this.bytesUntil(ms) >= this.end;
  }

  /** Goes back to where a server wants the audio from, for a new stay. Throws RangeError when it is no longer kept. */
  rewind(ms: number): void {
    const position = this.isLinear ? this.bytesUntil(ms) : 0;
    const first = this.stretches[0];
    if (position < (first?.from ?? this.end)) {
      throw new RangeError(`the server wants the audio from ${ms} ms on again, which is no longer kept`);
    }
    this.forget(position, this.stretches.length);
    if (this.stretches[0] !== undefined && this.stretches[0].from < position) {
      this.stretches[0] = after(position, this.stretches[0]);
    }
    this.head = 0;
    this.sequence = 0n;
    this.bell.ring();
  }

  private get isLinear(): boolean {
    return this.format.encoding === AudioEncoding.LINEAR16;
  }

  private get channels(): number {
    return Math.max(1, this.format.channelCount);
  }

  private bytesUntil(ms: number): number {
    return Math.round((ms * this.format.sampleRateHz) / 1000) * BYTES_PER_SAMPLE * this.channels;
  }

  private add(saying: Saying, length: number): void {
    if (this.closed) {
      throw this.failure ?? new TypeError("the session was closed");
    }
    this.stretches.push({ from: this.end, to: this.end + length, saying });
    this.end += length;
    this.bell.ring();
  }

  /** Lets go of what ends before `position`, of the first `count` stretches. */
  private forget(position: number, count: number): void {
    let gone = 0;
    while (gone < count && this.stretches[gone]!.to <= position) {
      gone += 1;
    }
    this.stretches.splice(0, gone);
    this.head = Math.max(0, this.head - gone);
  }
}
