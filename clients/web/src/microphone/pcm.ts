import { AudioEncoding } from "../../gen/ai2text/asr/v1/audio_pb.js";
import { pause } from "../live/pause.js";
import type { Recording } from "./microphone.js";
import { Sounds } from "./sounds.js";

const LIMIT_BYTES = 16 * 1024 * 1024; // three minutes at 48 kHz
const LAST_SAMPLES_MS = 1_000;
const NODE = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" } as const;

/**
 * LINEAR16 at the rate of the device, made by `pcm-worklet.js`, which must lie beside the script that this is part of.
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
