import { durationMs } from "@bufbuild/protobuf/wkt";

import type { FinalResult, RefinementResult } from "../../gen/ai2text/asr/v1/result_pb.js";
import type { StreamingRecognizeResponse } from "../../gen/ai2text/asr/v1/speech_service_pb.js";
import type { LiveHandlers } from "./handlers.js";
import { lost } from "./losses.js";
import { Place } from "./place.js";

/** The events of which another session may tell again. */
type Heard = "speechStarted" | "speechEnded" | "partial";

/**
 * What a caller was told, over all connections: passes on each event, and each final once. Times and indices count from
 * the beginning of the sound, also when one session had to follow another.
 */
export class Captions {
  /** All finals so far, as they came. */
  readonly finals: FinalResult[] = [];
  /** Where among them the finals of the present session stand; undefined: an earlier session had told it. */
  private indices: (number | undefined)[] = [];
  private placed = new Place();

  constructor(private readonly handlers: LiveHandlers) {}

  /** How many finals the present session has told: the index of its next one. */
  get nextFinalIndex(): number {
    return this.indices.length;
  }

  /** Where the present session lies. */
  get place(): Place {
    return this.placed;
  }

  /** Where the last final of each channel ends. */
  get saidMs(): ReadonlyMap<number, bigint> {
    return new Map(this.finals.map(({ channel, endMs }) => [channel, endMs]));
  }

  /** Another session goes on, which begins at `beginMs`. */
  beginAnew(beginMs: number): void {
    this.placed = new Place(beginMs, this.saidMs);
    this.indices = [];
  }

  /** Passes on one event. Throws a loss when finals are missing before it. */
  take({ event }: StreamingRecognizeResponse): void {
    switch (event.case) {
      case "speechStarted":
        return this.tellUntold("speechStarted", event.value);
      case "speechEnded":
        return this.tellUntold("speechEnded", event.value);
      case "partial":
        return this.tellUntold("partial", event.value);
      case "status":
        return this.tell("status", event.value);
      case "refinement":
        return this.takeRefinement(event.value);
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

  private tellUntold<Name extends Heard>(
    name: Name,
    ...about: [...Parameters<NonNullable<LiveHandlers[Name]>>]
  ): void {
    this.placed.shift(about[0]);
    if (!this.placed.wasTold(about[0])) {
      this.tell(name, ...about);
    }
  }

  private takeFinal(final: FinalResult): void {
    if (final.finalIndex > this.nextFinalIndex) {
      throw lost(`final ${final.finalIndex} came where ${this.nextFinalIndex} was due`);
    }
    if (final.finalIndex < this.nextFinalIndex) {
      return;
    }
    this.placed.shift(final);
    if (this.placed.wasTold(final)) {
      this.indices.push(undefined);
      return;
    }
    final.finalIndex = this.finals.length;
    this.indices.push(final.finalIndex);
    this.finals.push(final);
    this.tell("final", final);
  }

  private takeRefinement(refinement: RefinementResult): void {
    const finalIndex = this.indices[refinement.finalIndex];
    if (finalIndex !== undefined) {
      this.placed.shift(refinement);
      refinement.finalIndex = finalIndex;
      this.tell("refinement", refinement);
    }
  }
}

/** Whether the server says that it is about to stop. */
export function isClosing({ event }: StreamingRecognizeResponse): boolean {
  return event.case === "status" && event.value.closingIn !== undefined && durationMs(event.value.closingIn) >= 0;
}
