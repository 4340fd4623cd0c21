import type { FinalResult, PartialResult, RefinementResult } from "../../gen/ai2text/asr/v1/result_pb.js";
import type { SessionStatus } from "../../gen/ai2text/asr/v1/session_pb.js";
import type { SessionStarted, SpeechEnded, SpeechStarted } from "../../gen/ai2text/asr/v1/speech_service_pb.js";
import type { Failure } from "../failure.js";

/** What a live session tells, as it happens. All are optional. What one of them throws does not reach the session. */
export interface LiveHandlers {
  /** Somebody began to speak. */
  speechStarted?(started: SpeechStarted): void;
  /** An utterance ended. */
  speechEnded?(ended: SpeechEnded): void;
  /** The text so far of the utterance that is being spoken; replaces the one before it. */
  partial?(partial: PartialResult): void;
  /** The text of an utterance: each once and in order, whatever happens to the connection. */
  final?(final: FinalResult): void;
  /** A better text of a final that was told before, by its index; the newest one counts. */
  refinement?(refinement: RefinementResult): void;
  /** How the session stands with its server. */
  status?(status: SessionStatus): void;
  /** The connection was lost, or the server is about to stop: the session is being resumed. */
  resuming?(failure: Failure): void;
  /** The session goes on; `anew`: it was forgotten, and another one goes on for it, with a recording of its own. */
  resumed?(session: SessionStarted, anew: boolean): void;
  /** The session is over before it was closed, and cannot be resumed. */
  failed?(failure: Failure): void;
}
