/**
 * Live speech through a running mesh: set AI2TEXT_ENDPOINT, AI2TEXT_TOKEN, and one clip twice, AI2TEXT_PCM (16-bit mono
 * at 16 kHz, without a header) and AI2TEXT_WEBM, with what is said in it: AI2TEXT_LANGUAGE, AI2TEXT_WORDS.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { env } from "node:process";
import { before, describe as suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { AudioEncoding, createAi2Text, ErrorReason, type FinalResult, failureOf, LiveSession } from "../src/index.js";
import { Cuttable } from "./cuttable.js";
import { thrownBy } from "./thrown.js";
import { alike } from "./words.js";

const { AI2TEXT_ENDPOINT: endpoint = "", AI2TEXT_TOKEN: token = "", AI2TEXT_WORDS: words = "" } = env;
const { AI2TEXT_PCM: pcmFile = "", AI2TEXT_WEBM: webmFile = "", AI2TEXT_LANGUAGE: languageCode = "" } = env;
const skip = endpoint && token && pcmFile && webmFile && words ? false : "AI2TEXT_ENDPOINT, _PCM, _WEBM are not set";

const PIECES_PER_SECOND = 10;
const LINEAR16 = { encoding: AudioEncoding.LINEAR16, sampleRateHz: 16_000 };
const WEBM = { encoding: AudioEncoding.WEBM };

suite("live speech through the mesh", { skip, timeout: 120_000 }, () => {
  const clips = new Map<typeof LINEAR16 | typeof WEBM, Uint8Array>();
  let seconds = 0;

  before(async () => {
    clips.set(LINEAR16, await readFile(pcmFile)).set(WEBM, await readFile(webmFile));
    seconds = clips.get(LINEAR16)!.length / 32_000;
  });

  for (const [name, format] of [["LINEAR16", LINEAR16], ["WebM/Opus", WEBM]] as const) {
    test(`becomes finals: ${name}`, async () => {
      let partials = 0;
      const { live } = createAi2Text({ endpoint, token });
      const handlers = { partial: () => (partials += 1) };
      const session = await LiveSession.open(live, { format, languageCode }, handlers);
      await speak(session, clips.get(format)!);
      check(await session.close());
      assert.ok(partials > 0);
      assert.notEqual(session.session.recordingId, "");
    });

    test(`loses nothing when its connection is cut: ${name}`, async () => {
      await using way = await Cuttable.to(endpoint);
      const told: string[] = [];
      const { live } = createAi2Text({ endpoint: way.endpoint, token });
      const handlers = { resumed: () => told.push("resumed"), final: ({ text }: FinalResult) => told.push(text) };
      const session = await LiveSession.open(live, { format, languageCode }, handlers);
      const speaking = speak(session, clips.get(format)!);
      await sleep((seconds * 1_000) / 2);
      await way.cut(1_500);
      await speaking;
      const finals = await session.close();
      check(finals);
      assert.ok(told.includes("resumed"));
      assert.deepEqual(told.filter((line) => line !== "resumed"), finals.map(({ text }) => text));
    });
  }

  test("is refused with the field that is wrong", async () => {
    const { live } = createAi2Text({ endpoint, token });
    const opening = LiveSession.open(live, { format: { encoding: AudioEncoding.LINEAR16, sampleRateHz: 1 } });
    const failure = failureOf(await thrownBy(opening));
    assert.equal(failure.reason, ErrorReason.FIELD_INVALID);
    assert.deepEqual(failure.fields.map(({ field }) => field), ["format.sample_rate_hz"]);
  });

  test("of nobody cannot be resumed", async () => {
    const { live } = createAi2Text({ endpoint, token });
    const value = { sessionId: "00000000-0000-0000-0000-000000000000", resumeToken: "secret", nextFinalIndex: 0 };
    const failure = failureOf(await thrownBy(live.openSession({ start: { case: "resume", value } })));
    assert.equal(failure.reason, ErrorReason.SESSION_NOT_FOUND);
  });

  /** Speaks at the pace of speech. */
  async function speak(session: LiveSession, audio: Uint8Array): Promise<void> {
    const pieces = Math.ceil(seconds * PIECES_PER_SECOND);
    const step = Math.ceil(audio.length / pieces / 2) * 2;
    for (let at = 0; at < audio.length; at += step) {
      await session.push(audio.subarray(at, at + step));
      await sleep(1_000 / PIECES_PER_SECOND);
    }
  }
});

function check(finals: readonly FinalResult[]): void {
  const text = finals.map((final) => final.text).join(" ");
  assert.ok(alike(text, words) > 0.6, text);
  assert.deepEqual(finals.map(({ finalIndex }) => finalIndex), finals.map((_, index) => index));
}
