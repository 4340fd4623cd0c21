import type { FinalResult, PartialResult, RefinementResult } from "../src/index.js";

/** How things stand; the page's colours follow it. */
export type State = "idle" | "opening" | "live" | "resuming" | "finishing" | "done" | "failed";

/** What the page shows: the words that are being said, those that were, and how things stand. */
export class Board {
  private readonly record = element("record", HTMLButtonElement);
  private readonly label = element("record-label", HTMLElement);
  private readonly level = element("level", HTMLMeterElement);
  private readonly status = element("status", HTMLElement);
  private readonly stable = element("stable", HTMLElement);
  private readonly unstable = element("unstable", HTMLElement);
  private readonly finals = element("finals", HTMLElement);
  /** Where the words of each final stand. */
  private readonly said = new Map<number, HTMLElement>();
  /** Where the utterance begins whose words are shown as being said. */
  private captionFrom = 0n;

  /** What to do when the button is pressed, unless there is nothing to be done now. */
  onRecord(pressed: () => void): void {
    this.record.addEventListener("click", () => {
      if (this.record.getAttribute("aria-disabled") !== "true") {
        pressed();
      }
    });
  }

  /** Says how things stand; the button follows. */
  say(state: State, text: string): void {
    const speaking = state === "live" || state === "resuming";
    this.status.dataset.state = state;
    this.status.textContent = text;
    // A button that is really disabled would lose the focus of the keyboard.
    this.record.setAttribute("aria-disabled", String(state === "opening" || state === "finishing"));
    this.record.dataset.speaking = String(speaking);
    this.label.textContent = speaking ? "Stop" : "Speak";
  }

  /** An empty board for a new session. */
  clear(): void {
    this.finals.replaceChildren();
    this.said.clear();
    this.caption("", "");
  }

  /** The words that are being said. */
  showPartial({ stableText, unstableText, startMs }: PartialResult): void {
    this.captionFrom = startMs;
    this.caption(stableText, unstableText);
  }

  /** Words that have been said; the newest stand above. */
  showFinal({ finalIndex, text, startMs, endMs }: FinalResult): void {
    if (endMs > this.captionFrom) {
      this.caption("", ""); // else the next utterance has begun
    }
    const line = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = clock(Number(startMs));
    const words = document.createElement("span");
    words.textContent = text;
    line.append(time, words);
    this.finals.prepend(line);
    this.said.set(finalIndex, words);
  }

  /** Better words in place of those that were shown; none when they went to a neighbour. */
  showRefinement({ finalIndex, text }: RefinementResult): void {
    const words = this.said.get(finalIndex);
    if (words) {
      words.textContent = text;
      words.parentElement!.hidden = text === "";
    }
  }

  /** How loud it is, 0 to 1. Speech is mostly below a tenth, so the scale is that of decibels. */
  showLevel(level: number): void {
    const decibels = 20 * Math.log10(Math.max(level, 1e-4));
    this.level.value = Math.max(0, 1 + decibels / 60);
  }

  private caption(stable: string, unstable: string): void {
    this.stable.textContent = stable;
    this.unstable.textContent = unstable;
  }
}

/** Milliseconds as minutes and seconds. */
function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`the page has no ${kind.name} called ${id}`);
  }
  return found;
}
