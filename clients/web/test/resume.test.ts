import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe as suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

import { createAi2Text, LiveSession } from "../src/index.js";
import { Edge } from "./edge.js";
import { Scene, say, STEP, textsAtTheEnd, textsOf, until, WEBM } from "./scene.js";
import { type Faults, FORMAT, refusal, ScriptedAsr, SECOND } from "./scripted-asr.js";

suite("a live session resumes", () => {
  test("twenty times in a row, and neither loses nor doubles a word", async () => {
    const scene = Scene.with();
    const session = await scene.open();
    const audio = randomBytes(20 * SECOND);
    await say(session, audio, async (step) => {
      if (step % 10 === 5) {
        await until(() => session.finals.length >= Math.floor(step / 10) && scene.asr.host !== undefined);
        scene.asr.kill();
      }
    });
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.equal(scene.changes.filter((change) => change === "resumed").length, 20);
  });

  test("a recording in a container from its header on", async () => {
    const scene = Scene.with();
    const session = await scene.open(WEBM);
    const audio = randomBytes(4 * SECOND);
    await say(session, audio, async (step) => {
      if (step === 25) {
        await until(() => session.finals.length === 2);
        scene.asr.kill();
        await until(() => scene.changes.includes("resumed"));
      }
    });
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    const again = scene.asr.pushes.filter(({ sequence }) => sequence === 0n).at(-1)!;
    const sent = again.payload.value as Uint8Array;
    assert.deepEqual(Buffer.from(sent), audio.subarray(0, sent.length));
  });

  test("at once when the server is about to stop", async () => {
    const scene = Scene.with();
    const session = await scene.open();
    const audio = randomBytes(2 * SECOND);
    await say(session, audio.subarray(0, SECOND / 2));
    scene.asr.drain();
    await until(() => scene.changes.length === 2);
    await say(session, audio.subarray(SECOND / 2));
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.deepEqual(scene.changes, ["resuming: DRAINING", "resumed"]);
    assert.equal(scene.asr.host.name, "two");
  });

  test("while it is being closed, too", async () => {
    let kills = 1;
    const asr: ScriptedAsr = new ScriptedAsr({
      closed() {
        if (kills-- > 0) {
          asr.kill();
          throw new ConnectError("connection reset", Code.Unavailable);
        }
      },
    });
    const scene = new Scene(asr);
    const session = await scene.open();
    const audio = randomBytes(1.5 * SECOND);
    await say(session, audio);
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
  });

  test("after refusals that pass", async () => {
    let refusals = 3;
    const scene = Scene.with({
      opening({ start }) {
        if (start.case === "resume" && refusals-- > 0) {
          throw refusal(Code.ResourceExhausted, "OVERLOADED", 10);
        }
      },
    });
    const session = await scene.open();
    const audio = randomBytes(SECOND);
    await say(session, audio.subarray(0, STEP));
    scene.asr.kill();
    await say(session, audio.subarray(STEP));
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.equal(scene.asr.calls.filter((call) => call === "open resume").length, 4);
  });

  test("when finals are due that the watch does not bring", async () => {
    let dead = true;
    const scene = Scene.with({ watching: () => (dead ? new Promise(() => {}) : undefined) });
    const session = await scene.open(FORMAT, { overdueMs: 30 });
    const audio = randomBytes(2 * SECOND);
    await say(session, audio.subarray(0, SECOND));
    await until(() => {
      session.forceEnd(); // each push tells of the final
      return scene.changes.length > 0;
    });
    dead = false;
    await say(session, audio.subarray(SECOND));
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
  });

  test("when a final is missing, and takes none twice", async () => {
    let gaps = 1;
    const finals = (index: number) => (index === 2 && gaps-- > 0 ? [1, 3] : [Math.max(0, index - 1), index]);
    const scene = Scene.with({ finals });
    const session = await scene.open();
    const audio = randomBytes(4 * SECOND);
    await session.push(audio);
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.deepEqual(scene.told.filter((line) => !line.startsWith("resum")), textsOf(audio));
  });

  test("over real connections that are cut", async () => {
    await using edge = await Edge.serving(new ScriptedAsr().routes);
    const api = createAi2Text({ endpoint: edge.endpoint });
    let resumed = 0;
    const session = await LiveSession.open(api.live, { format: FORMAT }, { resumed: () => (resumed += 1) });
    const audio = randomBytes(4 * SECOND);
    await say(session, audio, async (step) => {
      if (step === 15) {
        await edge.cut(500);
      }
      await sleep(2);
    });
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.ok(resumed > 0);
  });
});

suite("a live session that was forgotten", () => {
  for (const [name, format] of [["LINEAR16", FORMAT], ["a container", WEBM]] as const) {
    test(`goes on as another one, and counts on: ${name}`, async () => {
      const scene = Scene.with();
      const session = await scene.open(format);
      const audio = randomBytes(4.5 * SECOND);
      const first = session.session.sessionId;
      await say(session, audio.subarray(0, 2.5 * SECOND));
      await until(() => session.finals.length === 2);
      scene.asr.forget();
      await say(session, audio.subarray(2.5 * SECOND));
      assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
      assert.deepEqual(scene.changes, ["resuming: UNSPECIFIED", "begun anew"]);
      assert.deepEqual(scene.told.filter((line) => !scene.changes.includes(line)), textsOf(audio));
      assert.deepEqual(session.finals.map(({ finalIndex }) => finalIndex), [0, 1, 2, 3, 4]);
      assert.deepEqual(session.finals.map(({ endMs }) => endMs), [1000n, 2000n, 3000n, 4000n, 4500n]);
      assert.notEqual(session.session.sessionId, first);
    });
  }

  test("may be lost again, and resumed as the one it is now", async () => {
    const scene = Scene.with();
    const session = await scene.open();
    const audio = randomBytes(6 * SECOND);
    for (const [second, lose] of [[1, () => scene.asr.forget()], [3, () => scene.asr.kill()]] as const) {
      await say(session, audio.subarray((second - 1) * SECOND, second * SECOND));
      await until(() => session.finals.length === second);
      const changes = scene.changes.length;
      lose();
      await say(session, audio.subarray(second * SECOND, (second + 1) * SECOND));
      await until(() => scene.changes.length === changes + 2);
    }
    await say(session, audio.subarray(4 * SECOND));
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.deepEqual(scene.changes.filter((line) => !line.startsWith("resuming")), ["begun anew", "resumed"]);
  });

  test("has better texts for its own finals, and none for those before it", async () => {
    const scene = Scene.with();
    const session = await scene.open(WEBM);
    await say(session, randomBytes(SECOND));
    await until(() => session.finals.length === 1);
    scene.asr.forget();
    await say(session, randomBytes(SECOND));
    await until(() => session.finals.length === 2);
    for (const finalIndex of [0, 1]) {
      scene.asr.host.tell({ case: "refinement", value: { finalIndex, text: `${finalIndex}` } });
    }
    await session.close();
    assert.deepEqual(scene.told.filter((line) => line.startsWith("better")), ["better 1: 1"]);
  });

  test("is not begun anew when all was said", async () => {
    const closed: Faults["closed"] = () => {
      scene.asr.forget();
      throw new ConnectError("connection reset", Code.Unavailable);
    };
    const scene = Scene.with({ closed });
    const session = await scene.open();
    const audio = randomBytes(SECOND);
    await say(session, audio);
    await until(() => session.finals.length === 1);
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.ok(!scene.asr.calls.slice(1).includes("open config"));
  });
});

suite("a live session stays where it is", () => {
  test("when a watch breaks once", async () => {
    let breaks = 1;
    const scene = Scene.with({
      watching() {
        if (breaks-- > 0) {
          throw new ConnectError("reset", Code.Unavailable);
        }
      },
    });
    const session = await scene.open();
    const audio = randomBytes(SECOND);
    await say(session, audio);
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.deepEqual(scene.asr.calls.sort(), ["close", "open config", "watch", "watch"]);
  });

  test("when an acknowledgement is lost: the piece is heard once", async () => {
    let losses = 1;
    const scene = Scene.with({
      pushed({ sequence }) {
        if (sequence === 3n && losses-- > 0) {
          throw new ConnectError("reset", Code.Unavailable);
        }
      },
    });
    const session = await scene.open();
    const audio = randomBytes(SECOND);
    await say(session, audio, () => sleep(2));
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.equal(scene.asr.pushes.filter(({ sequence }) => sequence === 3n).length, 2);
    assert.deepEqual(scene.changes, []);
  });

  test("when the server is full for a while: the same piece is sent again", async () => {
    let refusals = 3;
    const scene = Scene.with({
      pushing({ sequence }) {
        if (sequence === 1n && refusals-- > 0) {
          throw refusal(Code.ResourceExhausted, "OVERLOADED", 10);
        }
      },
    });
    const session = await scene.open();
    const audio = randomBytes(SECOND);
    await say(session, audio, () => sleep(1));
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.deepEqual(scene.changes, []);
  });

  test("when it is over, and only the answer to its close is lost", async () => {
    let losses = 1;
    const scene = Scene.with({
      closed() {
        if (losses-- > 0) {
          throw new ConnectError("reset", Code.Unavailable);
        }
      },
    });
    const session = await scene.open();
    const audio = randomBytes(1.5 * SECOND);
    await say(session, audio);
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.deepEqual(scene.changes, []);
  });
});
