/** Against a running mesh, over gRPC-web through its edge: set AI2TEXT_ENDPOINT and AI2TEXT_TOKEN. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { env } from "node:process";
import { before, describe as suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Code } from "@connectrpc/connect";

import {
  type Ai2Text,
  AudioEncoding,
  createAi2Text,
  ErrorReason,
  ExportFormat,
  failureOf,
  type Hit,
  RecordingSource,
} from "../src/index.js";
import { joined, thrownBy } from "./thrown.js";

const { AI2TEXT_ENDPOINT: endpoint = "", AI2TEXT_TOKEN: token = "" } = env;
const skip = endpoint && token ? false : "AI2TEXT_ENDPOINT and AI2TEXT_TOKEN are not set";
const INDEXED_WITHIN_MS = 30_000;
const PHRASE = "con thuyền giấy trôi trên dòng sông nhỏ";

suite("the mesh over gRPC-web", { skip }, () => {
  const recordingId = randomUUID();
  let api: Ai2Text;

  before(async () => {
    api = createAi2Text({ endpoint, token });
    await store(api, recordingId);
  });

  test("answers a unary call", async () => {
    const { encodings, maxSampleRateHz } = await api.speech.getCapabilities({});
    assert.ok(encodings.includes(AudioEncoding.LINEAR16));
    assert.equal(maxSampleRateHz, 48_000);
  });

  test("finds what was stored", async () => {
    const hit = await found(api, recordingId);
    assert.equal(hit.startMs, 1_000n);
    assert.equal(hit.endMs, 3_500n);
    assert.ok(hit.snippet?.text.includes("con thuyền giấy"));
  });

  test("streams a transcript", async () => {
    const text = await joined(api.transcripts.exportTranscript({ recordingId, format: ExportFormat.SRT }));
    assert.ok(text.includes("00:00:01,000 --> 00:00:03,500"), text);
    assert.ok(text.includes(PHRASE), text);
  });

  test("refuses a call without a token", async () => {
    const refused = failureOf(await thrownBy(createAi2Text({ endpoint }).search.search({ query: "x" })));
    assert.equal(refused.code, Code.Unauthenticated);
  });

  test("says what is missing", async () => {
    const refused = failureOf(await thrownBy(api.recordings.getRecording({ recordingId: randomUUID() })));
    assert.equal(refused.code, Code.NotFound);
    assert.equal(refused.reason, ErrorReason.RECORDING_NOT_FOUND);
  });

  test("says what is missing in a stream", async () => {
    const stream = api.transcripts.exportTranscript({ recordingId: randomUUID(), format: ExportFormat.TXT });
    const refused = failureOf(await thrownBy(joined(stream)));
    assert.equal(refused.code, Code.NotFound);
  });
});

/** Stores a recording of one segment. */
async function store(api: Ai2Text, recordingId: string): Promise<void> {
  await api.recordings.createRecording({ recordingId, title: "Thử", source: RecordingSource.FILE, languageCode: "vi" });
  const { transcript } = await api.transcripts.createTranscript({ recordingId, model: "test" });
  const segment = { segmentIndex: 0, text: PHRASE, startMs: 1_000n, endMs: 3_500n, languageCode: "vi", confidence: 1 };
  await api.transcripts.appendSegments({ transcriptId: transcript?.transcriptId ?? "", segments: [segment] });
}

/** The stored segment once the index has it. */
async function found(api: Ai2Text, recordingId: string): Promise<Hit> {
  const deadline = Date.now() + INDEXED_WITHIN_MS;
  while (Date.now() < deadline) {
    const { hits } = await api.search.search({ query: PHRASE, recordingIds: [recordingId] });
    if (hits[0] !== undefined) {
      return hits[0];
    }
    await sleep(250);
  }
  return assert.fail(`not found within ${INDEXED_WITHIN_MS} ms`);
}
