import { durationMs } from "@bufbuild/protobuf/wkt";

import {
  createAi2Text,
  describe,
  ErrorReason,
  failureOf,
  type LiveHandlers,
  LiveSession,
  type SessionStatus,
} from "../src/index.js";
import { Microphone } from "../src/microphone/index.js";
import type { Board } from "./board.js";
import type { Choices } from "./controls.js";

/** One session from the press of the button to the last final. */
export class Talk {
  private load = "";
  private finishing = false;
  /** What finals were written to: several recordings when a session was forgotten and another went on. */
  private readonly recordings = new Set<string>();

  private constructor(
    private readonly board: Board,
    private readonly microphone: Microphone,
  ) {}

  /** Asks for the microphone. Throws when it is not to be had. */
  static async begin(board: Board, choices: Choices): Promise<Talk> {
    return new Talk(board, await Microphone.open(choices.codec));
  }

  /** Speaks until the microphone is stopped. Throws what the session fails with. */
  async run(choices: Choices): Promise<void> {
    const { live } = createAi2Text({ endpoint: choices.endpoint, token: choices.token });
    const drawing = this.drawLevel();
    const leaving = new AbortController();
    try {
      const handlers = this.handlers(() => this.recordings.add(session.session.recordingId));
      const session = await LiveSession.open(live, this.config(choices), handlers, { signal: leaving.signal });
      this.tell("Listening.");
      for await (const sound of this.microphone.sounds) {
        await session.push(sound);
      }
      this.finishing = true;
      this.tell("Finishing.");
      const finals = await session.close();
      const kept = choices.stored && finals.length > 0;
      this.board.say("done", kept ? `Done. Kept as recording ${[...this.recordings].join(" and ")}.` : "Done.");
    } finally {
      leaving.abort(); // a session whose microphone has failed would stay open for as long as the page does
      cancelAnimationFrame(drawing());
      this.board.showLevel(0);
      await this.microphone.stop();
    }
  }

  /** Stops listening; what was said is still finished. */
  async stop(): Promise<void> {
    await this.microphone.stop();
  }

  private config({ languages, stored }: Choices) {
    const [only = ""] = languages;
    return {
      format: this.microphone.format,
      languageCode: languages.length === 1 ? only : "",
      languageCodes: languages.length > 1 ? languages : [],
      storageDisabled: !stored,
      title: "Spoken in a browser",
    };
  }

  private handlers(written: () => void): LiveHandlers {
    return {
      partial: (partial) => this.board.showPartial(partial),
      final: (final) => {
        this.board.showFinal(final);
        written();
      },
      refinement: (refinement) => this.board.showRefinement(refinement),
      status: (status) => {
        this.load = loadOf(status);
        this.tell(this.finishing ? "Finishing." : "Listening.");
      },
      resuming: ({ reason }) => {
        const draining = reason === ErrorReason.DRAINING;
        const text = draining ? "The server is about to stop: moving to another." : "The connection was lost: resuming.";
        if (this.finishing) {
          this.board.say("finishing", text);
        } else {
          this.board.say("resuming", `${text} Go on speaking.`);
        }
      },
      resumed: (_, anew) =>
        this.tell(anew ? "The session was forgotten; another one goes on." : "Resumed; nothing was lost."),
    };
  }

  private tell(text: string): void {
    this.board.say(this.finishing ? "finishing" : "live", `${text}${this.load}`);
  }

  /** Draws the level with each frame; the result tells the newest request. */
  private drawLevel(): () => number {
    let request = 0;
    const draw = (): void => {
      this.board.showLevel(this.microphone.level());
      request = requestAnimationFrame(draw);
    };
    draw();
    return () => request;
  }
}

/** How busy the server is, in words. */
function loadOf({ partialInterval, credit }: SessionStatus): string {
  const every = partialInterval && ` Words come every ${(durationMs(partialInterval) / 1000).toFixed(1)} s`;
  const waiting = credit && durationMs(credit) === 0 ? ", and the server is behind" : "";
  return every ? `${every}${waiting}.` : "";
}

/** What was thrown, in words for the user. */
export function inWords(thrown: unknown): string {
  return thrown instanceof DOMException ? `No microphone: ${thrown.message}` : describe(failureOf(thrown));
}
