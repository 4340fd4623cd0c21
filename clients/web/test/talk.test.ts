import assert from "node:assert/strict";
import { before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Code } from "@connectrpc/connect";

import type { Board, State } from "../page/board.js";
import type { Choices } from "../page/controls.js";
import { Talk } from "../page/talk.js";
import type { Microphone } from "../src/microphone/index.js";
import { Edge } from "./edge.js";
import { type Faults, FORMAT, refusal, ScriptedAsr, SECOND } from "./scripted-asr.js";

/** A talk without a browser, and what its page was told. */
class Page {
  readonly said: [State, string][] = [];
  readonly talk: Talk;

  constructor(sounds: AsyncIterable<Uint8Array>) {
    const board = {
      say: (state: State, text: string) => void this.said.push([state, text]),
      showLevel() {},
      showPartial() {},
      showFinal() {},
    } as unknown as Board;
    const microphone = { format: FORMAT, sounds, level: () => 0, stop: async () => {} } as unknown as Microphone;
    this.talk = new (Talk as unknown as new (board: Board, microphone: Microphone) => Talk)(board, microphone);
  }
}

async function* sounding(fail = async (): Promise<void> => {}): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(SECOND);
  await fail();
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await sleep(2);
  }
}

suite("the talk of the page", { timeout: 20_000 }, () => {
  before(() => {
    Object.assign(globalThis, { requestAnimationFrame: () => 0, cancelAnimationFrame: () => {} });
  });

  test("leaves its session when the microphone fails", async () => {
    const asr = new ScriptedAsr();
    await using edge = await Edge.serving(asr.routes);
    const unplugged = async () => {
      await until(() => asr.watches === 1);
      throw new Error("unplugged");
    };
    const { talk } = new Page(sounding(unplugged));
    await assert.rejects(talk.run(choices(edge)), /unplugged/);
    await until(() => asr.watches === 0);
  });

  test("goes on in another session when its own was forgotten", async () => {
    const asr = new ScriptedAsr();
    await using edge = await Edge.serving(asr.routes);
    async function* sounds(): AsyncGenerator<Uint8Array> {
      yield* sounding();
      await until(() => asr.watches === 1);
      asr.forget();
      yield* sounding();
    }
    const page = new Page(sounds());
    await page.talk.run(choices(edge));
    assert.ok(page.said.some(([state, text]) => state !== "failed" && text.includes("another one goes on")));
    assert.equal(page.said.at(-1)![0], "done");
  });

  test("asks nobody to go on speaking who has finished", async () => {
    let losses = 1;
    const closed: Faults["closed"] = () => {
      if (losses-- > 0) {
        throw refusal(Code.NotFound, "SESSION_NOT_FOUND");
      }
    };
    await using edge = await Edge.serving(new ScriptedAsr({ closed, finals: () => [] }).routes);
    const page = new Page(sounding());
    await page.talk.run(choices(edge));
    const states = page.said.map(([state]) => state);
    assert.deepEqual([...new Set(states)], ["live", "finishing", "done"]);
    assert.ok(page.said.some(([, text]) => text.startsWith("The connection was lost: resuming.")));
  });
});

function choices({ endpoint }: Edge): Choices {
  return { endpoint, token: "t", languages: ["vi"], codec: "pcm", stored: false };
}
