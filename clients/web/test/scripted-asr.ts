/**
 * Servers that keep the rules of LiveSessionService without hearing anything: a second of audio is an utterance, its
 * text a digest of the bytes. Their sessions outlive them, as tickets do, and they fail on command.
 */
import { createHash } from "node:crypto";

import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";

import { ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { Bell } from "../src/live/bell.js";
import {
  AudioEncoding,
  type AudioFormat,
  LiveSessionService,
  type OpenSessionRequest,
  type PushAudioRequest,
  type StreamingRecognizeResponseSchema,
} from "../src/index.js";

export const FORMAT = { encoding: AudioEncoding.LINEAR16, sampleRateHz: 8_000 };
export const SECOND = 16_000; // bytes of FORMAT
const BYTES_PER_MS = SECOND / 1_000;

type Event = MessageInitShape<typeof StreamingRecognizeResponseSchema>["event"];

/** The text of an utterance. */
export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 12);
}

/** An error as our servers send it. */
export function refusal(code: Code, reason: string, retryMs?: number): ConnectError {
  const info = { desc: ErrorInfoSchema, value: { reason: `ERROR_REASON_${reason}`, domain: "ai2text" } };
  const retry = { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(retryMs ?? 0) } };
  return new ConnectError(reason.toLowerCase(), code, undefined, retryMs === undefined ? [info] : [info, retry]);
}

/** What is known of a session wherever it goes on. */
class Ticket {
  readonly finals: { text: string; startMs: bigint; endMs: bigint }[] = [];
  settled = 0;

  constructor(
    readonly id: string,
    readonly format: AudioFormat,
  ) {}
}

/** A session on one server. */
class Hearing {
  readonly bell = new Bell();
  readonly early = new Map<bigint, PushAudioRequest>();
  next = 0n;
  /** Bytes since the session began that this server has heard, and those of the utterance that goes on. */
  position: number;
  utterance: Buffer = Buffer.alloc(0);
  events: Event[] = [];
  closed = false;
  watch = 0;

  constructor(readonly ticket: Ticket) {
    this.position = ticket.format.encoding === AudioEncoding.LINEAR16 ? ticket.settled : 0;
  }

  hear(request: PushAudioRequest): void {
    this.early.set(request.sequence, request);
    for (let piece = this.early.get(this.next); piece !== undefined; piece = this.early.get(this.next)) {
      this.early.delete(this.next++);
      this.say(piece);
    }
    this.bell.ring();
  }

  finish(): void {
    if (this.utterance.length > 0) {
      this.end(this.utterance.length);
    }
    this.closed = true;
    this.bell.ring();
  }

  private say({ payload }: PushAudioRequest): void {
    if (payload.case === "audio") {
      this.listen(Buffer.from(payload.value));
    } else if (payload.case === "silence") {
      const seconds = Number(payload.value.duration!.seconds) + payload.value.duration!.nanos / 1e9;
      this.listen(Buffer.alloc(Math.round(seconds * 8_000) * 2));
    } else if (payload.case === "forceEndOfUtterance" && this.utterance.length > 0) {
      this.end(this.utterance.length);
    }
  }

  private listen(audio: Buffer): void {
    const known = Math.max(0, Math.min(audio.length, this.ticket.settled - this.position));
    this.position += audio.length;
    this.utterance = Buffer.concat([this.utterance, audio.subarray(known)]);
    while (this.utterance.length >= SECOND) {
      this.end(SECOND);
    }
  }

  private end(bytes: number): void {
    const startMs = msOf(this.ticket.settled);
    this.ticket.settled += bytes;
    const text = digest(this.utterance.subarray(0, bytes));
    this.ticket.finals.push({ text, startMs, endMs: msOf(this.ticket.settled) });
    this.utterance = this.utterance.subarray(bytes);
  }
}

/** One server. */
class Server {
  readonly sessions = new Map<string, Hearing>();
  readonly bell = new Bell();
  up = true;
  closing = false;

  constructor(readonly name: string) {}

  tell(event: Event): void {
    for (const hearing of this.sessions.values()) {
      hearing.events.push(event);
      hearing.bell.ring();
    }
  }
}

/** What a test does to a call before or after the server handles it; it may throw. */
export interface Faults {
  opening?(request: OpenSessionRequest, context: HandlerContext): unknown;
  pushing?(request: PushAudioRequest, context: HandlerContext): unknown;
  pushed?(request: PushAudioRequest): unknown;
  watching?(): unknown;
  /** What a watch sends instead of its finals from `index` on. */
  finals?(index: number): number[];
  closed?(): unknown;
}

/** Servers behind an edge that keeps sessions on theirs. */
export class ScriptedAsr {
  readonly servers = ["one", "two", "three"].map((name) => new Server(name));
  readonly calls: string[] = [];
  readonly pushes: PushAudioRequest[] = [];
  /** Watches that go on. */
  watches = 0;
  private readonly tickets = new Map<string, Ticket>();

  constructor(readonly faults: Faults = {}) {}

  readonly routes = (router: ConnectRouter): void => {
    router.service(LiveSessionService, {
      openSession: (request, context) => this.open(request, context),
      pushAudio: (request, context) => this.push(request, context),
      watchSession: (request, context) => this.counted(this.watch(request.sessionId, request.nextFinalIndex, context)),
      closeSession: (request, context) => this.close(request.sessionId, context),
    });
  };

  /** The server that has a session now. */
  get host(): Server {
    return this.servers.find(({ up, sessions }) => up && sessions.size > 0)!;
  }

  /** kill -9 of the server that has the session; it comes back empty. */
  kill(): void {
    const { host } = this;
    host.up = false;
    for (const hearing of host.sessions.values()) {
      hearing.bell.ring();
    }
    host.sessions.clear();
    setTimeout(() => (host.up = true), 5);
  }

  /** The server that has the session is killed, and what was known of the session is lost with it. */
  forget(): void {
    this.tickets.clear();
    this.kill();
  }

  /** The host says that it is about to stop, and takes no new sessions. */
  drain(): void {
    const { host } = this;
    host.closing = true;
    host.tell({ case: "status", value: { closingIn: durationFromMs(5_000) } });
  }

  private async open(request: OpenSessionRequest, context: HandlerContext) {
    const { start } = request;
    this.calls.push(`open ${start.case}`);
    await this.faults.opening?.(request, context);
    const server = this.servers.find(({ up, closing, sessions }) => up && !closing && sessions.size === 0);
    if (server === undefined) {
      throw new ConnectError("no healthy upstream", Code.Unavailable);
    }
    const ticket = this.ticket(request);
    for (const { sessions } of this.servers) {
      sessions.delete(ticket.id);
    }
    server.sessions.set(ticket.id, new Hearing(ticket));
    context.responseHeader.set("x-ai2text-server", server.name);
    context.responseHeader.set("x-ai2text-version", "stable");
    const replayFromMs = BigInt(Math.round(ticket.settled / BYTES_PER_MS));
    return { session: { sessionId: ticket.id, resumeToken: "secret", replayFromMs, serverVersion: "stable" } };
  }

  private ticket({ start }: OpenSessionRequest): Ticket {
    const known = start.case === "resume" ? this.tickets.get(start.value.sessionId) : undefined;
    if (start.case === "resume" && known === undefined) {
      throw refusal(Code.NotFound, "SESSION_NOT_FOUND");
    }
    const format = start.case === "config" ? start.value.format! : known!.format;
    const ticket = known ?? new Ticket(`session ${this.calls.length}`, format);
    this.tickets.set(ticket.id, ticket);
    return ticket;
  }

  /** The session, on the server that the call is pinned to. */
  private hearing(id: string, context: HandlerContext): [Server, Hearing] {
    const pinned = this.servers.find(({ name }) => name === context.requestHeader.get("x-ai2text-server"));
    if (pinned?.up === false) {
      throw new ConnectError("connection refused", Code.Unavailable);
    }
    const hearing = pinned?.sessions.get(id);
    if (pinned === undefined || hearing === undefined) {
      throw refusal(Code.NotFound, "SESSION_NOT_FOUND");
    }
    return [pinned, hearing];
  }

  private async push(request: PushAudioRequest, context: HandlerContext) {
    this.pushes.push(request);
    await this.faults.pushing?.(request, context);
    const [server, hearing] = this.hearing(request.sessionId, context);
    hearing.hear(request);
    while (hearing.next <= request.sequence) {
      await hearing.bell.heard(context.signal);
    }
    await this.faults.pushed?.(request);
    if (!server.up) {
      throw new ConnectError("connection reset", Code.Unavailable);
    }
    return { nextSequence: hearing.next, cursors: cursorsOf(hearing) };
  }

  private async *counted<Told>(watch: AsyncIterable<Told>): AsyncGenerator<Told> {
    this.watches += 1;
    try {
      yield* watch;
    } finally {
      this.watches -= 1;
    }
  }

  private async *watch(id: string, nextFinalIndex: number, context: HandlerContext) {
    this.calls.push("watch");
    const [server, hearing] = this.hearing(id, context);
    const turn = ++hearing.watch;
    for (let index = nextFinalIndex; ; ) {
      await this.faults.watching?.();
      if (!server.up) {
        throw new ConnectError("connection reset", Code.Unavailable);
      }
      for (const event of hearing.events.splice(0)) {
        yield { event: { event, cursors: cursorsOf(hearing) } };
      }
      while (index < hearing.ticket.finals.length) {
        for (const finalIndex of this.faults.finals?.(index) ?? [index]) {
          const value = { finalIndex, ...hearing.ticket.finals[finalIndex]! };
          yield { event: { event: { case: "final", value } as const, cursors: cursorsOf(hearing) } };
        }
        index += 1;
      }
      if (hearing.closed) {
        return;
      }
      await hearing.bell.heard(context.signal);
      if (turn !== hearing.watch) {
        throw refusal(Code.Aborted, "SESSION_TAKEN_OVER");
      }
    }
  }

  private async close(id: string, context: HandlerContext) {
    this.calls.push("close");
    const [, hearing] = this.hearing(id, context);
    hearing.finish();
    await this.faults.closed?.();
    return { cursors: cursorsOf(hearing) };
  }
}

function cursorsOf({ ticket, position }: Hearing) {
  return {
    receivedMs: msOf(position),
    finalMs: msOf(ticket.settled),
    finalIndex: ticket.finals.length,
  };
}

function msOf(bytes: number): bigint {
  return BigInt(Math.floor(bytes / BYTES_PER_MS));
}
