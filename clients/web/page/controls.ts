import type { Codec } from "../src/microphone/index.js";

/** What the user has chosen. */
export interface Choices {
  readonly endpoint: string;
  readonly token: string;
  /** None: any language, detected for each utterance. */
  readonly languages: string[];
  readonly codec: Codec;
  readonly stored: boolean;
}

/** The form at the foot of the page. What it holds is kept until the tab is closed. */
export class Controls {
  constructor(private readonly form: HTMLFormElement) {
    this.fill(Object.entries(JSON.parse(sessionStorage.getItem("choices") ?? "{}") as Record<string, string>));
    this.fill(new URLSearchParams(location.hash.slice(1))); // as `make web` prints the address, with a token
    history.replaceState(null, "", location.pathname);
  }

  /** What is chosen now; undefined, and the user is told, when something is missing. */
  read(): Choices | undefined {
    if (!this.form.reportValidity()) {
      return undefined;
    }
    const { stored, ...kept } = Object.fromEntries(new FormData(this.form)) as Record<string, string>;
    sessionStorage.setItem("choices", JSON.stringify(kept));
    const { endpoint, token, language, codec } = kept as { [name: string]: string } & { codec: Codec };
    return {
      endpoint: endpoint!.replace(/\/+$/, ""),
      token: token!.trim(),
      languages: language!.split(",").filter(Boolean),
      codec,
      stored: stored === "on",
    };
  }

  private fill(values: Iterable<[string, string]>): void {
    for (const [name, value] of values) {
      const field = this.form.elements.namedItem(name);
      if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) {
        field.value = value;
      }
    }
  }
}
