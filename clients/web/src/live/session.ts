import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";

import { AudioFormatSchema } from "../../gen/ai2text/asr/v1/audio_pb.js";
import type { LiveSessionService } from "../../gen/ai2text/asr/v1/live_session_service_pb.js";
import type { FinalResult } from "../../gen/ai2text/asr/v1/result_pb.js";
import {
  type SessionStarted,
  type StreamingConfig,
  StreamingConfigSchema,
} from "../../gen/ai2text/asr/v1/speech_service_pb.js";
import { failureOf } from "../failure.js";
import { Captions } from "./captions.js";
import type { LiveHandlers } from "./handlers.js";
import { Link } from "./link.js";
import { isGone, isLoss } from "./losses.js";
import { Patience } from "./patience.js";
import { Stay } from "./stay.js";
import { Tape } from "./tape.js";

/** A stay on a server that lasted so long was no vain attempt. */
const LASTING_MS = 10_000;

/** How a session behaves towards its network. */
export interface LiveOptions {
  /** Pushes on the way at once. Default: 3, which leaves a browser connections for other calls over HTTP/1.1. */
  inFlight?: number;
  /** Bytes that may wait to be sent before `push` makes its caller wait. Default: 1 MiB. */
  bufferBytes?: number;
  /** How long a session that was lost is tried to be resumed, in milliseconds. Default: 60,000. */
  resumeForMs?: number;
  /** How long finals may be due before their connection is held to be dead, in milliseconds. Default: 10,000. */
  overdueMs?: number;
  /** Aborted: the session is left as it is, and waits on its server to be resumed, or finished after a while. */
  signal?: AbortSignal;
}

const DEFAULTS = { inFlight: 3, bufferBytes: 1024 * 1024, resumeForMs: 60_000, overdueMs: 10_000 };
type Chosen = LiveOptions & typeof DEFAULTS;

/**
 * Live speech in a browser or in Node, over gRPC-web.
 *
 *   const session = await LiveSession.open(api.live, { format, languageCode: "vi" }, { final: (final) => … });
 *   await session.push(audio);                 // again and again
 *   const finals = await session.close();
 *
 * It survives the loss of its connection and of its server: it resumes, sends again what was not settled, and passes on
 * each final once. Of LINEAR16 it keeps the last minute or two for that. Audio in any other encoding it keeps whole, 15
 * to 30 MB for each hour of Opus, because that has to be sent again from its header on.
 *
 * When the servers have forgotten the session, as after five minutes without a connection, another one goes on behind
 * the last final, with a recording of its own; times and indices go on counting. In an encoding with a header it hears
 * and stores all once more, and only what is new is passed on.
 */
export class LiveSession {
  /** Resolves with all finals when the session has ended; rejects with what it failed with. Need not be awaited. */
  readonly ended: Promise<FinalResult[]>;
  private readonly patience: Patience;

  private constructor(
    private readonly client: Client<typeof LiveSessionService>,
    private readonly config: StreamingConfig,
    private readonly options: Chosen,
    private readonly tape: Tape,
    private readonly captions: Captions,
    private link: Link,
  ) {
    this.patience = new Patience(options.resumeForMs);
    this.ended = this.run();
    this.ended.catch(() => {}); // told to whoever waits, and to the handler
  }

  /** Opens a session. Throws what OpenSession throws: `failureOf` reads it. */
  static async open(
    client: Client<typeof LiveSessionService>,
    config: MessageInitShape<typeof StreamingConfigSchema>,
    handlers: LiveHandlers = {},
    options: LiveOptions = {},
  ): Promise<LiveSession> {
    const value = create(StreamingConfigSchema, config);
    const format = value.format ?? create(AudioFormatSchema);
    const chosen = { ...DEFAULTS, ...options };
    const link = await Link.open(client, { case: "config", value }, "", options.signal);
    const tape = new Tape(format, chosen.bufferBytes);
    return new LiveSession(client, value, chosen, tape, new Captions(handlers), link);
  }

  /** Its names, what it writes to, and the version of its server; others once it had to begin anew. */
  get session(): SessionStarted {
    return this.link.session;
  }

  /** All finals so far, as they came. */
  get finals(): readonly FinalResult[] {
    return this.captions.finals;
  }

  /** Says the next bytes of audio. Resolves when there is room for more; rejects with what the session failed with. */
  async push(audio: Uint8Array): Promise<void> {
    this.tape.append(audio);
    await this.tape.room();
  }

  /** Says that there is silence, which is not sent. LINEAR16 only, at most a minute. Resolves as `push` does. */
  async silence(ms: number): Promise<void> {
    this.tape.silence(ms);
    await this.tape.room();
  }

  /** Ends the utterance at the audio pushed so far, without waiting for silence. */
  forceEnd(): void {
    this.tape.endUtterance();
  }

  /** Says that no more audio comes. Resolves with all finals of the session when the last one is made. */
  async close(): Promise<FinalResult[]> {
    this.tape.close();
    return this.ended;
  }

  private async run(): Promise<FinalResult[]> {
    try {
      for (let over = false; !over; ) {
        over = await this.stay();
      }
      return this.captions.finals;
    } catch (thrown) {
      this.tape.fail(thrown);
      if (!this.options.signal?.aborted) {
        this.captions.tell("failed", failureOf(thrown));
      }
      throw thrown;
    }
  }

  /** One stay on one server. True when the session has ended; false when it was lost and goes on elsewhere. */
  private async stay(): Promise<boolean> {
    const began = performance.now();
    const settled = this.captions.nextFinalIndex;
    try {
      await new Stay(this.link, this.tape, this.captions, this.options).last();
      return true;
    } catch (thrown) {
      if (this.captions.nextFinalIndex > settled || performance.now() - began > LASTING_MS) {
        this.patience.restore();
      }
      return this.resume(thrown);
    }
  }

  /**
   * Goes on after a loss, on any server; true when nothing is left to say. Throws what it was lost by, or the newest
   * refusal, when it cannot.
   */
  private async resume(loss: unknown): Promise<boolean> {
    if (this.options.signal?.aborted || !(isLoss(loss) || isGone(loss))) {
      throw loss;
    }
    this.captions.tell("resuming", failureOf(loss));
    // What the lost server advised does not bind another one.
    for (let thrown = loss, advisedMs = 0, anew = false; ; ) {
      await this.patience.wait(thrown, advisedMs, this.options.signal);
      if (anew && this.tape.isSaidBy(this.tape.beginAfter(this.captions.saidMs))) {
        return true;
      }
      try {
        await (anew ? this.openAnew() : this.reopen());
        this.captions.tell("resumed", this.session, anew);
        return false;
      } catch (again) {
        if (!(isLoss(again) || isGone(again))) {
          throw again;
        }
        anew ||= isGone(again);
        thrown = again;
        advisedMs = failureOf(again).retryAfterMs ?? 0;
      }
    }
  }

  private async reopen(): Promise<void> {
    const { sessionId, resumeToken } = this.session;
    const value = { sessionId, resumeToken, nextFinalIndex: this.captions.nextFinalIndex };
    const start = { case: "resume", value } as const;
    this.link = await Link.open(this.client, start, this.link.version, this.options.signal);
    this.tape.rewind(this.captions.place.at(this.session.replayFromMs));
  }

  /** Another session in place of one that was forgotten, for what is kept and was not yet said. */
  private async openAnew(): Promise<void> {
    this.link = await Link.open(this.client, { case: "config", value: this.config }, "", this.options.signal);
    const beginMs = this.tape.beginAfter(this.captions.saidMs);
    this.captions.beginAnew(beginMs);
    this.tape.rewind(beginMs);
  }
}
