import { AudioEncoding } from "../../gen/ai2text/asr/v1/audio_pb.js";
import type { Recording } from "./microphone.js";
import { Sounds } from "./sounds.js";

const CONTAINERS = [
  { mimeType: "audio/webm;codecs=opus", encoding: AudioEncoding.WEBM },
  { mimeType: "audio/ogg;codecs=opus", encoding: AudioEncoding.OGG },
];
const PIECE_MS = 120;
const BITS_PER_SECOND = 32_000;
const LIMIT_BYTES = 4 * 1024 * 1024; // a quarter of an hour

/** Opus in WebM or Ogg, whichever this browser records. Throws TypeError when it records neither: take PCM there. */
export function recordOpus(stream: MediaStream): Recording {
  const container = CONTAINERS.find(({ mimeType }) => MediaRecorder.isTypeSupported(mimeType));
  if (container === undefined) {
    throw new TypeError("this browser records no Opus in WebM or Ogg");
  }
  const { mimeType, encoding } = container;
  const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
  const sounds = new Sounds(LIMIT_BYTES);
  let read = Promise.resolve(); // blobs are read one after the other, so that they stay in order
  recorder.addEventListener("dataavailable", ({ data }) => {
    read = read.then(async () => sounds.add(new Uint8Array(await data.arrayBuffer())));
  });
  recorder.addEventListener("error", () => sounds.end(new Error("the sound of the microphone could not be recorded")));
  const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  const ended = stopped.then(() => read).then(() => sounds.end(), (failure: unknown) => sounds.end(failure));
  recorder.start(PIECE_MS);
  return {
    format: { encoding },
    sounds,
    async stop() {
      if (recorder.state !== "inactive") {
        recorder.stop();
      }
      await ended;
    },
  };
}
