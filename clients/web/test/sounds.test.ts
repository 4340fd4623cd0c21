import assert from "node:assert/strict";
import { describe as suite, test } from "node:test";

import { Sounds } from "../src/microphone/sounds.js";
import { thrownBy } from "./thrown.js";

/** All sounds until they end. */
async function all(sounds: Sounds): Promise<number[]> {
  const bytes: number[] = [];
  for await (const piece of sounds) {
    bytes.push(...piece);
  }
  return bytes;
}

suite("the sounds of a microphone", () => {
  test("come in order, those that wait and those that are still to come", async () => {
    const sounds = new Sounds(100);
    sounds.add(Uint8Array.of(1, 2));
    const taking = all(sounds);
    await new Promise(setImmediate);
    sounds.add(Uint8Array.of());
    sounds.add(Uint8Array.of(3));
    sounds.end();
    sounds.add(Uint8Array.of(4));
    assert.deepEqual(await taking, [1, 2, 3]);
  });

  test("end with an error when nobody takes them", async () => {
    const sounds = new Sounds(3);
    sounds.add(new Uint8Array(3));
    sounds.add(new Uint8Array(1));
    assert.ok((await thrownBy(all(sounds))) instanceof RangeError);
  });

  test("end with what their device failed with", async () => {
    const sounds = new Sounds(3);
    const failure = new Error("unplugged");
    sounds.end(failure);
    sounds.end();
    assert.equal(await thrownBy(all(sounds)), failure);
  });
});
