import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe as suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

import { createAi2Text, LiveSession } from "../src/index.js";
import { Edge } from "./edge.js";
import { Scene, say, STEP, textsAtTheEnd, textsOf, until, WEBM } from "./scene.js";
import { FORMAT, refusal, ScriptedAsr, SECOND } from "./scripted-asr.js";

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
