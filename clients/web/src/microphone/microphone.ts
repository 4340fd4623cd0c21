import { AudioEncoding } from "../../gen/ai2text/asr/v1/audio_pb.js";
import { recordOpus } from "./opus.js";
import { recordPcm, samplingContext } from "./pcm.js";
import type { Sounds } from "./sounds.js";

/** What a live session is told of the audio. */
export interface MicrophoneFormat {
  readonly encoding: AudioEncoding;
  readonly sampleRateHz?: number;
}

/** What turns a microphone into bytes. */
export interface Recording {
  readonly format: MicrophoneFormat;
  readonly sounds: Sounds;
  /** Ends the sounds when all that was heard is in them. */
  stop(): Promise<void>;
}

/** How the sound travels: `pcm` resumes fastest and needs most of the network; `opus` needs a tenth of that. */
export type Codec = "opus" | "pcm";

/** The microphone of this browser. Until it is stopped, the browser shows that it listens. */
export class Microphone {
  private readonly samples: Float32Array<ArrayBuffer>;
  private stopped: Promise<void> | undefined;

  private constructor(
    private readonly stream: MediaStream,
    private readonly context: AudioContext,
    private readonly analyser: AnalyserNode,
    private readonly recording: Recording,
  ) {
    this.samples = new Float32Array(analyser.fftSize);
    for (const track of stream.getTracks()) {
      track.addEventListener("ended", () => void this.stop()); // unplugged, or no longer allowed
    }
  }

  /** Asks for the microphone, and begins. Throws DOMException when there is none, or the user does not allow it. */
  static async open(codec: Codec): Promise<Microphone> {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    // Opus has a rate of its own; the context only measures how loud it is.
    const context = codec === "pcm" ? await samplingContext() : new AudioContext();
    try {
      await context.resume();
      const source = context.createMediaStreamSource(stream);
      const analyser = context.createAnalyser();
      source.connect(analyser);
      const recording = codec === "pcm" ? await recordPcm(source) : recordOpus(stream);
      return new Microphone(stream, context, analyser, recording);
    } catch (thrown) {
      await release(stream, context);
      throw thrown;
    }
  }

  /** For `StreamingConfig.format`. */
  get format(): MicrophoneFormat {
    return this.recording.format;
  }

  /** What is heard, until the microphone is stopped. Throws when its device fails, or when nobody takes the sounds. */
  get sounds(): AsyncIterable<Uint8Array> {
    return this.recording.sounds;
  }

  /** How loud it is now: 0 is silence, 1 as loud as it can be told. */
  level(): number {
    this.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
    return Math.min(1, Math.sqrt(power));
  }

  /** Stops listening; what was heard can still be taken. */
  stop(): Promise<void> {
    this.stopped ??= this.recording.stop().finally(() => release(this.stream, this.context));
    return this.stopped;
  }
}

async function release(stream: MediaStream, context: AudioContext): Promise<void> {
  for (const track of stream.getTracks()) {
    track.stop();
  }
  await context.close();
}
