import { durationMs } from "@bufbuild/protobuf/wkt";

import type { FinalResult } from "../../gen/ai2text/asr/v1/result_pb.js";
import type { StreamingRecognizeResponse } from "../../gen/ai2text/asr/v1/speech_service_pb.js";
import type { LiveHandlers } from "./handlers.js";
import { lost } from "./losses.js";

/** What a session was told, over all its connections: passes on each event, and each final once. */
export class Captions {
  /** All finals so far, as they came. */
  readonly finals: FinalResult[] = [];

  constructor(private readonly handlers: LiveHandlers) {}

  /** How many finals there are: the index of the next one. */
  get nextFinalIndex(): number {
    return this.finals.length;
  }

  /** Passes on one event. Throws a loss when finals are missing before it. */
  take({ event }: StreamingRecognizeResponse): void {
    switch (event.case) {
      case "speechStarted":
        return this.tell("speechStarted", event.value);
      case "speechEnded":
        return this.tell("speechEnded", event.value);
      case "partial":
        return this.tell("partial", event.value);
      case "status":
        return this.tell("status", event.value);
      case "refinement":
        return this.tell("refinement", event.value);
      case "final":
        return this.takeFinal(event.value);
    }
  }

  /** Calls a handler. What it throws is reported as uncaught: it is no matter of the session. */
  tell<Name extends keyof LiveHandlers>(name: Name, ...about: Parameters<NonNullable<LiveHandlers[Name]>>): void {
    try {
      (this.handlers[name] as ((...about: unknown[]) => void) | undefined)?.call(this.handlers, ...about);
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown;
      });
    }
  }

  private takeFinal(final: FinalResult): void {
    if (final.finalIndex > this.nextFinalIndex) {
      throw lost(`final ${final.finalIndex} came where ${this.nextFinalIndex} was due`);
    }
    if (final.finalIndex === this.nextFinalIndex) {
      this.finals.push(final);
      this.tell("final", final);
    }
  }
}

/** Whether the server says that it is about to stop. */
export function isClosing({ event }: StreamingRecognizeResponse): boolean {
  return event.case === "status" && event.value.closingIn !== undefined && durationMs(event.value.closingIn) >= 0;
}
