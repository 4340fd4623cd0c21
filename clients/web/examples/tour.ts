/**
 * A walk through the API: what the server can do, what was recorded, what is found, a transcript, a file recognised.
 *
 *   export AI2TEXT_TOKEN=$(ai2text token)
 *   npm run tour -- "xin chào" [FILE.wav]
 */
import { readFile } from "node:fs/promises";
import { argv, env, exit, stdout } from "node:process";

import { type Ai2Text, AudioEncoding, createAi2Text, describe, ExportFormat, failureOf } from "../src/index.js";

async function main(api: Ai2Text, query: string, file: string | undefined): Promise<void> {
  const { model, languageCodes } = await api.speech.getCapabilities({});
  console.log(`The speech model is ${model}; it knows ${languageCodes.length} languages.`);

  const { recordings } = await api.recordings.listRecordings({ pageSize: 5 });
  console.log(`\nThe newest recordings (${recordings.length}):`);
  for (const recording of recordings) {
    console.log(`  ${recording.recordingId}  ${clock(recording.durationMs)}  ${recording.title}`);
  }

  const { hits } = await api.search.search({ query, limit: 3 });
  console.log(`\nWhere "${query}" was said:`);
  for (const hit of hits) {
    console.log(`  ${clock(hit.startMs)}  ${hit.snippet?.text}`);
  }

  const recordingId = hits[0]?.recordingId ?? recordings[0]?.recordingId;
  if (recordingId !== undefined) {
    console.log(`\n${recordingId} as subtitles:`);
    for await (const piece of api.transcripts.exportTranscript({ recordingId, format: ExportFormat.SRT })) {
      stdout.write(piece.text);
    }
  }

  if (file !== undefined) {
    const audio = await readFile(file);
    const { results } = await api.speech.recognize({ format: { encoding: AudioEncoding.WAV }, audio });
    console.log(`\nWhat is said in ${file}:`);
    for (const result of results) {
      console.log(`  ${clock(result.startMs)}  ${result.text}`);
    }
  }
}

/** Milliseconds as minutes and seconds. */
function clock(ms: bigint): string {
  const seconds = Number(ms) / 1000;
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
}

const { AI2TEXT_ENDPOINT: endpoint = "http://127.0.0.1:8080", AI2TEXT_TOKEN: token } = env;
if (token === undefined) {
  console.error("Set AI2TEXT_TOKEN first: export AI2TEXT_TOKEN=$(ai2text token)");
  exit(2);
}
try {
  await main(createAi2Text({ endpoint, token }), argv[2] ?? "xin chào", argv[3]);
} catch (thrown) {
  console.error(describe(failureOf(thrown)));
  exit(1);
}
