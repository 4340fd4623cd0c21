import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe as suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Code, ConnectError, createClient, createRouterTransport, type HandlerContext } from "@connectrpc/connect";

import { ErrorReason, failureOf, LiveSession, LiveSessionService } from "../src/index.js";
import { Scene, say, STEP, textsAtTheEnd, textsOf, until } from "./scene.js";
import { digest, FORMAT, refusal, SECOND } from "./scripted-asr.js";
import { thrownBy } from "./thrown.js";

suite("a live session", () => {
  test("sends every byte in order, and ends with all finals", async () => {
    const scene = Scene.with();
    const session = await scene.open();
    const audio = randomBytes(3.5 * SECOND);
    await say(session, audio);
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.deepEqual(scene.told, textsOf(audio));
    assert.deepEqual(session.finals.map(({ finalIndex }) => finalIndex), [0, 1, 2, 3]);
    assert.deepEqual(await session.ended, session.finals);
    const sequences = scene.asr.pushes.map(({ sequence }) => sequence);
    assert.deepEqual(sequences, sequences.map((_, index) => BigInt(index)));
  });

  test("tells better texts of its finals as they come, and leaves those as they were", async () => {
    const scene = Scene.with();
    const session = await scene.open();
    const audio = randomBytes(SECOND);
    await say(session, audio);
    await until(() => session.finals.length === 1);
    for (const text of ["mười hai", "12", ""]) {
      scene.asr.host.tell({ case: "refinement", value: { finalIndex: 0, text } });
    }
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.deepEqual(scene.told, [...textsOf(audio), "better 0: mười hai", "better 0: 12", "better 0: "]);
  });

  test("leads its calls to the server that opened it", async () => {
    const seen = new Set<string>();
    const note = (_: unknown, { requestHeader }: HandlerContext) =>
      seen.add(`${requestHeader.get("x-ai2text-server")} ${requestHeader.get("x-ai2text-version")}`);
    const scene = Scene.with({ opening: note, pushing: note });
    const session = await scene.open();
    await say(session, randomBytes(SECOND));
    scene.asr.drain();
    await until(() => scene.changes.includes("resumed"));
    await say(session, randomBytes(SECOND));
    await session.close();
    assert.deepEqual([...seen], ["null null", "one stable", "null stable", "two stable"]);
  });

  test("has no more pushes on the way than it may, which may arrive in any order", async () => {
    let now = 0;
    let most = 0;
    const scene = Scene.with({
      async pushing({ sequence }) {
        most = Math.max(most, ++now);
        await sleep(Number(sequence % 4n) * 3);
        now -= 1;
      },
    });
    const session = await scene.open(FORMAT, { inFlight: 4 });
    const audio = randomBytes(2 * SECOND);
    await say(session, audio, () => sleep(1));
    assert.deepEqual(await textsAtTheEnd(session), textsOf(audio));
    assert.ok(most > 1 && most <= 4, `${most} at once`);
  });

  test("holds its caller back while the server takes nothing", async () => {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const scene = Scene.with({ pushing: () => gate });
    const session = await scene.open(FORMAT, { inFlight: 1, bufferBytes: STEP });
    await session.push(new Uint8Array(STEP));
    await session.push(new Uint8Array(STEP));
    let roomy = false;
    const waiting = session.push(new Uint8Array(STEP)).then(() => (roomy = true));
    await sleep(20);
    assert.equal(roomy, false);
    open();
    await waiting;
    await session.close();
  });

  test("ends an utterance when it is told to, and leaves out silence", async () => {
    const scene = Scene.with();
    const session = await scene.open();
    const word = randomBytes(STEP);
    await session.push(word);
    session.forceEnd();
    await session.silence(1_000);
    await session.push(word);
    const silence = new Uint8Array(SECOND);
    assert.deepEqual(await textsAtTheEnd(session), [word, silence, word].map(digest));
  });

  test("leaves out silence to the sample, also where that is no whole number of milliseconds", async () => {
    const scene = Scene.with();
    const session = await scene.open();
    const word = randomBytes(STEP);
    await session.silence(0.375);
    await session.push(word);
    assert.deepEqual(await textsAtTheEnd(session), [digest(Buffer.concat([Buffer.alloc(3 * 2), word]))]);
  });

  test("passes on what else is told, and survives a handler that throws", async (context) => {
    const scene = Scene.with();
    const events: unknown[] = [];
    const client = createClient(LiveSessionService, createRouterTransport(scene.asr.routes));
    const uncaught: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => uncaught.push(error));
    context.after(() => {
      process.removeAllListeners("uncaughtException");
      listeners.forEach((listener) => process.on("uncaughtException", listener));
    });
    const bug = new Error("a bug of the page");
    const session = await LiveSession.open(client, { format: FORMAT }, {
      speechStarted: ({ startMs }) => events.push(startMs),
      partial: ({ stableText, unstableText }) => events.push(stableText + unstableText),
      speechEnded: ({ endMs }) => events.push(endMs),
      status: ({ partialInterval }) => events.push(partialInterval?.seconds),
      final() {
        throw bug;
      },
    });
    scene.asr.host.tell({ case: "speechStarted", value: { startMs: 120n } });
    scene.asr.host.tell({ case: "partial", value: { stableText: "xin ", unstableText: "chào" } });
    scene.asr.host.tell({ case: "speechEnded", value: { endMs: 900n } });
    scene.asr.host.tell({ case: "status", value: { partialInterval: { seconds: 2n, nanos: 0 } } });
    await session.push(randomBytes(STEP));
    assert.equal((await session.close()).length, 1);
    assert.deepEqual(events, [120n, "xin chào", 900n, 2n]);
    await until(() => uncaught.length > 0);
    assert.deepEqual(uncaught, [bug]);
  });
});

suite("a live session fails", () => {
  test("to open, and says why", async () => {
    const scene = Scene.with({
      opening() {
        throw refusal(Code.ResourceExhausted, "OVERLOADED", 1_500);
      },
    });
    const failure = failureOf(await thrownBy(scene.open()));
    assert.equal(failure.reason, ErrorReason.OVERLOADED);
    assert.equal(failure.retryAfterMs, 1_500);
  });

  test("when somebody else has taken it over", async () => {
    const scene = Scene.with({
      pushing() {
        throw refusal(Code.Aborted, "SESSION_TAKEN_OVER");
      },
    });
    const session = await scene.open();
    await session.push(new Uint8Array(STEP));
    const thrown = await thrownBy(session.ended);
    assert.equal(failureOf(thrown).reason, ErrorReason.SESSION_TAKEN_OVER);
    assert.equal(await thrownBy(session.push(new Uint8Array(STEP))), thrown);
    assert.equal(await thrownBy(session.close()), thrown);
    assert.deepEqual(scene.told, ["failed: SESSION_TAKEN_OVER"]);
    assert.deepEqual(scene.asr.calls, ["open config", "watch"]);
  });

  test("when nobody knows it any more and no other may begin, and keeps the finals it has", async () => {
    let opened = 0;
    const scene = Scene.with({
      opening({ start }) {
        if (start.case === "config" && opened++ > 0) {
          throw refusal(Code.Unauthenticated, "IDENTITY_MISSING");
        }
      },
    });
    const session = await scene.open();
    const audio = randomBytes(SECOND);
    await say(session, audio);
    await until(() => session.finals.length === 1);
    scene.asr.forget();
    await thrownBy(session.ended);
    assert.deepEqual(scene.told, [...textsOf(audio), "resuming: UNSPECIFIED", "failed: IDENTITY_MISSING"]);
    assert.deepEqual(session.finals.map(({ text }) => text), textsOf(audio));
  });

  test("when no server comes back in time", async () => {
    const scene = Scene.with({
      opening({ start }) {
        if (start.case === "resume") {
          throw new ConnectError("connection refused", Code.Unavailable);
        }
      },
    });
    const session = await scene.open(FORMAT, { resumeForMs: 300 });
    await session.push(new Uint8Array(STEP));
    scene.asr.kill();
    assert.equal(failureOf(await thrownBy(session.close())).code, Code.Unavailable);
    const attempts = scene.asr.calls.filter((call) => call === "open resume").length;
    assert.ok(attempts >= 2 && attempts <= 6, `${attempts} attempts`);
  });

  test("without a word when it is left", async () => {
    const scene = Scene.with();
    const leave = new AbortController();
    const session = await scene.open(FORMAT, { signal: leave.signal });
    await session.push(new Uint8Array(STEP));
    await until(() => scene.asr.calls.length === 2);
    leave.abort();
    await thrownBy(session.ended);
    assert.deepEqual(scene.told, []);
    assert.deepEqual(scene.asr.calls, ["open config", "watch"]);
  });
});
