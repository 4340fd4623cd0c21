import type { MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, Code } from "@connectrpc/connect";

import type {
  LiveSessionService,
  OpenSessionRequestSchema,
  PushAudioRequestSchema,
} from "../../gen/ai2text/asr/v1/live_session_service_pb.js";
import type { Cursors } from "../../gen/ai2text/asr/v1/result_pb.js";
import type { SessionStarted, StreamingRecognizeResponse } from "../../gen/ai2text/asr/v1/speech_service_pb.js";
import { ErrorReason } from "../../gen/ai2text/common/v1/errors_pb.js";
import { failureOf } from "../failure.js";
import { isBroken, lost } from "./losses.js";
import { pause } from "./pause.js";
import type { Saying } from "./stretch.js";
import type { Piece } from "./tape.js";

const SERVER = "x-ai2text-server";
const VERSION = "x-ai2text-version";

const OPEN_MS = 10_000;
/** A push waits up to 5 s for credit, and up to 5 s for the pieces before it. */
const PUSH_MS = 15_000;
const CLOSE_MS = 35_000;
const REPEAT_AFTER_MS = 100;
/** How often a server that is full may refuse one piece, after 5 s each. */
const REFUSALS = 12;

type Start = MessageInitShape<typeof OpenSessionRequestSchema>["start"];

/** The calls of one session to the one server that has it. */
export class Link {
  private constructor(
    private readonly client: Client<typeof LiveSessionService>,
    /** What the server calls the session, and where it wants the audio from. */
    readonly session: SessionStarted,
    /** What leads all calls to the same server. */
    private readonly pins: Headers,
  ) {}

  /** Begins a session, or goes on with one, on a server of `version`: any, when it is empty. */
  static async open(
    client: Client<typeof LiveSessionService>,
    start: Start,
    version: string,
    signal?: AbortSignal,
  ): Promise<Link> {
    let pins = new Headers();
    const { session } = await client.openSession(
      { start },
      {
        headers: version === "" ? {} : { [VERSION]: version },
        onHeader: (headers) => (pins = pinsOf(headers)),
        timeoutMs: OPEN_MS,
        signal,
      },
    );
    if (session === undefined) {
      throw lost("the server did not name the session");
    }
    return new Link(client, session, pins);
  }

  /** The version of the server, which the session keeps; empty when it has none. */
  get version(): string {
    return this.pins.get(VERSION) ?? this.session.serverVersion;
  }

  /** Sends one piece. Resolves when the server has taken it, with how far it has come. */
  async push({ sequence, saying }: Piece, signal: AbortSignal): Promise<Cursors> {
    const request = { ...this.names(), sequence, payload: payloadOf(saying) };
    const { cursors } = await patiently(signal, () => this.client.pushAudio(request, this.options(PUSH_MS, signal)));
    return known(cursors);
  }

  /** The events from now on, first the finals from `nextFinalIndex()` on. A watch that breaks is begun once more. */
  async *watch(nextFinalIndex: () => number, signal: AbortSignal): AsyncGenerator<StreamingRecognizeResponse> {
    for (let broken = false; ; ) {
      try {
        const request = { ...this.names(), nextFinalIndex: nextFinalIndex() };
        for await (const { event } of this.client.watchSession(request, this.options(0, signal))) {
          broken = false;
          if (event !== undefined) {
            yield event;
          }
        }
        return;
      } catch (thrown) {
        if (broken || signal.aborted || !isBroken(failureOf(thrown))) {
          throw thrown;
        }
        broken = true;
      }
    }
  }

  /** Says that no more comes. Resolves when the last final is made, with how far the session came. */
  async close(signal: AbortSignal): Promise<Cursors> {
    const { cursors } = await patiently(signal, () =>
      this.client.closeSession(this.names(), this.options(CLOSE_MS, signal)),
    );
    return known(cursors);
  }

  private names(): { sessionId: string; resumeToken: string } {
    const { sessionId, resumeToken } = this.session;
    return { sessionId, resumeToken };
  }

  private options(timeoutMs: number, signal: AbortSignal): CallOptions {
    return { headers: this.pins, timeoutMs, signal };
  }
}

/** Makes a call that may be repeated: once more when it breaks, and again as long as the server is only full. */
async function patiently<Answer>(signal: AbortSignal, call: () => Promise<Answer>): Promise<Answer> {
  for (let broken = 0, refused = 0; ; ) {
    try {
      return await call();
    } catch (thrown) {
      const failure = failureOf(thrown);
      const full = failure.code === Code.ResourceExhausted;
      const repeatable = full || isBroken(failure) || failure.reason === ErrorReason.SEQUENCE_GAP;
      if (signal.aborted || !repeatable || (full ? ++refused > REFUSALS : ++broken > 1)) {
        throw thrown;
      }
      await pause(failure.retryAfterMs ?? REPEAT_AFTER_MS, signal);
    }
  }
}

function known(cursors: Cursors | undefined): Cursors {
  if (cursors === undefined) {
    throw lost("the server did not say how far it has come");
  }
  return cursors;
}

function pinsOf(headers: Headers): Headers {
  const pins = new Headers();
  for (const name of [SERVER, VERSION]) {
    const value = headers.get(name);
    if (value !== null) {
      pins.set(name, value);
    }
  }
  return pins;
}

function payloadOf(saying: Saying): MessageInitShape<typeof PushAudioRequestSchema>["payload"] {
  switch (saying.kind) {
    case "audio":
      return { case: "audio", value: saying.bytes };
    case "silence":
      return { case: "silence", value: { duration: durationOf(saying.ms) } };
    case "end of utterance":
      return { case: "forceEndOfUtterance", value: {} };
    case "keepalive":
      return { case: "keepalive", value: {} };
  }
}

/** To the nanosecond: what is left of a silence after a resume is no whole number of milliseconds, and not nothing. */
function durationOf(ms: number): { seconds: bigint; nanos: number } {
  const nanos = Math.max(1, Math.round(ms * 1e6));
  return { seconds: BigInt(Math.floor(nanos / 1e9)), nanos: nanos % 1e9 };
}
