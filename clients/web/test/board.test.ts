import assert from "node:assert/strict";
import { after, before, describe as suite, test } from "node:test";

import { Board, type State } from "../page/board.js";

/** As much of an element as the board needs. */
class Part extends EventTarget {
  readonly dataset: Record<string, string> = {};
  readonly attributes = new Map<string, string>();
  textContent = "";
  disabled = false;

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }

  getAttribute(name: string): string | null {
    return this.attributes.get(name) ?? null;
  }
}

const KINDS = ["HTMLElement", "HTMLButtonElement", "HTMLMeterElement"];

suite("the button of the page", () => {
  const parts = new Map<string, Part>();

  before(() => {
    const found = (id: string): Part => parts.get(id) ?? parts.set(id, new Part()).get(id)!;
    Object.assign(globalThis, { document: { getElementById: found } }, Object.fromEntries(KINDS.map((k) => [k, Part])));
  });

  after(() => [...KINDS, "document"].forEach((name) => Reflect.deleteProperty(globalThis, name)));

  test("does nothing while there is nothing to be done, and is never really disabled", () => {
    const board = new Board();
    const button = parts.get("record")!;
    const states: State[] = ["idle", "opening", "live", "resuming", "finishing", "done", "failed"];
    let now: State | undefined;
    const pressed: typeof states = [];
    board.onRecord(() => pressed.push(now!));
    for (now of states) {
      board.say(now, "");
      button.dispatchEvent(new Event("click"));
      assert.equal(button.disabled, false);
      assert.equal(button.getAttribute("aria-pressed"), null, "its label says it");
      assert.equal(parts.get("record-label")!.textContent, now === "live" || now === "resuming" ? "Stop" : "Speak");
    }
    assert.deepEqual(pressed, ["idle", "live", "resuming", "done", "failed"]);
  });
});
