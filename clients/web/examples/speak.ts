/**
 * Speaks a WAV file of 16-bit samples to the server, at the pace of speech, and shows the captions.
 *
 *   export AI2TEXT_TOKEN=$(ai2text token)
 *   npm run speak -- FILE.wav [vi]
 */
import { readFile } from "node:fs/promises";
import { argv, env, exit } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

import { AudioEncoding, createAi2Text, describe, failureOf, type LiveHandlers, LiveSession } from "../src/index.js";

const HEADER_BYTES = 44;
const PIECES_PER_SECOND = 10;

const captions: LiveHandlers = {
  partial: ({ stableText, unstableText }) => console.log(`      … ${stableText}[${unstableText}]`),
  final: ({ startMs, text }) => console.log(`${(Number(startMs) / 1000).toFixed(1).padStart(7)} ${text}`),
  resuming: (failure) => console.log(`resuming: ${describe(failure)}`),
  resumed: ({ serverVersion }, anew) => console.log(`${anew ? "begun anew" : "resumed"} (${serverVersion})`),
};

async function speak(endpoint: string, token: string, file: string, languageCode: string): Promise<void> {
  const wav = await readFile(file);
  const [channelCount, sampleRateHz] = [wav.readUInt16LE(22), wav.readUInt32LE(24)];
  const format = { encoding: AudioEncoding.LINEAR16, sampleRateHz, channelCount };
  const session = await LiveSession.open(createAi2Text({ endpoint, token }).live, { format, languageCode }, captions);
  console.log(`session ${session.session.sessionId} (${session.session.serverVersion})`);
  const step = Math.round(sampleRateHz / PIECES_PER_SECOND) * 2 * channelCount;
  for (let at = HEADER_BYTES; at < wav.length; at += step) {
    await session.push(wav.subarray(at, at + step));
    await sleep(1000 / PIECES_PER_SECOND);
  }
  const finals = await session.close();
  console.log(`recording ${session.session.recordingId}: ${finals.length} finals`);
}

const { AI2TEXT_ENDPOINT: endpoint = "http://127.0.0.1:8080", AI2TEXT_TOKEN: token } = env;
const file = argv[2];
if (token === undefined || file === undefined) {
  console.error("Usage: npm run speak -- FILE.wav [LANGUAGE]; set AI2TEXT_TOKEN first: $(ai2text token)");
  exit(2);
}
try {
  await speak(endpoint, token, file, argv[3] ?? "");
} catch (thrown) {
  console.error(describe(failureOf(thrown)));
  exit(1);
}
