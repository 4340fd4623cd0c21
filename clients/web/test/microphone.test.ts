import assert from "node:assert/strict";
import { afterEach, describe as suite, test } from "node:test";

import { samplingContext } from "../src/microphone/pcm.js";

suite("the context that samples a microphone", () => {
  afterEach(() => Reflect.deleteProperty(globalThis, "AudioContext"));

  for (const [device, rate] of [[44_100, 44_100], [48_000, 48_000], [96_000, 48_000], [192_000, 48_000]] as const) {
    test(`has ${rate} Hz on a sound card of ${device} Hz, and is the only one open`, async () => {
      const open = new Set<object>();
      class Context {
        readonly sampleRate: number;

        constructor({ sampleRate = device as number } = {}) {
          this.sampleRate = sampleRate;
          open.add(this);
        }

        async close(): Promise<void> {
          open.delete(this);
        }
      }
      Object.assign(globalThis, { AudioContext: Context });
      const context = await samplingContext();
      assert.equal(context.sampleRate, rate);
      assert.deepEqual([...open], [context]);
    });
  }
});
