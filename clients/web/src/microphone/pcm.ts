import { AudioEncoding } from "../../gen/ai2text/asr/v1/audio_pb.js";
import { pause } from "../live/pause.js";
import type { Recording } from "./microphone.js";
import { Sounds } from "./sounds.js";

const LIMIT_BYTES = 16 * 1024 * 1024; // three minutes at 48 kHz
const LAST_SAMPLES_MS = 1_000;
/** The most that servers take. */
const HIGHEST_RATE_HZ = 48_000;
const NODE = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" } as const;

/** A context at the rate of the device; where that is higher than servers take, the browser converts. */
export async function samplingContext(): Promise<AudioContext> {
  const context = new AudioContext();
  if (context.sampleRate <= HIGHEST_RATE_HZ) {
    return context;
  }
  await context.close();
  return new AudioContext({ sampleRate: HIGHEST_RATE_HZ });
}

/**
 * LINEAR16 at the rate of the context, made by `pcm-worklet.js`, which must lie beside the script that this is part of.
 */
export async function recordPcm(source: MediaStreamAudioSourceNode): Promise<Recording> {
  const context = source.context as AudioContext;
  await context.audioWorklet.addModule(new URL("pcm-worklet.js", import.meta.url));
  const worklet = new AudioWorkletNode(context, "pcm", NODE);
  const sounds = new Sounds(LIMIT_BYTES);
  const done = new Promise<void>((resolve) => {
    worklet.port.onmessage = ({ data }: MessageEvent<ArrayBuffer | "done">) =>
      data === "done" ? resolve() : sounds.add(new Uint8Array(data));
  });
  worklet.onprocessorerror = () => sounds.end(new Error("the sound of the microphone could not be processed"));
  source.connect(worklet);
  return {
    format: { encoding: AudioEncoding.LINEAR16, sampleRateHz: context.sampleRate },
    sounds,
    async stop() {
      worklet.port.postMessage("stop");
      await Promise.race([done, pause(LAST_SAMPLES_MS)]); // a device that has failed does not answer
      source.disconnect(worklet);
      sounds.end();
    },
  };
}
