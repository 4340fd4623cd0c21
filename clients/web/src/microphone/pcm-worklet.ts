/** Runs in the browser's audio thread: makes 16-bit samples, a tenth of a second at a time, until told to stop. */

// The scope of a worklet, which the types of the DOM leave out.
declare const sampleRate: number;
declare const registerProcessor: (name: string, processor: new () => AudioWorkletProcessor) => void;
declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
  abstract process(inputs: Float32Array[][]): boolean;
}

class Pcm extends AudioWorkletProcessor {
  private samples = new Int16Array(sampleRate / 10);
  private count = 0;
  private running = true;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.running = false;
      this.send();
      this.port.postMessage("done");
    };
  }

  override process([input]: Float32Array[][]): boolean {
    for (const sample of input?.[0] ?? []) {
      this.samples[this.count++] = Math.round(Math.max(-1, Math.min(1, sample)) * 0x7fff);
      if (this.count === this.samples.length) {
        this.send();
      }
    }
    return this.running;
  }

  private send(): void {
    const { buffer } = this.samples.slice(0, this.count);
    this.count = 0;
    this.port.postMessage(buffer, [buffer]);
  }
}

registerProcessor("pcm", Pcm);
