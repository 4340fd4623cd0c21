import assert from "node:assert/strict";
import { describe as suite, test } from "node:test";

import { create } from "@bufbuild/protobuf";

import { AudioEncoding, AudioFormatSchema } from "../src/index.js";
import type { Saying } from "../src/live/stretch.js";
import { Tape } from "../src/live/tape.js";
import { thrownBy } from "./thrown.js";

const LINEAR = create(AudioFormatSchema, { encoding: AudioEncoding.LINEAR16, sampleRateHz: 8_000 });
const WEBM = create(AudioFormatSchema, { encoding: AudioEncoding.WEBM });
const MS = 16; // bytes of LINEAR
const never = new AbortController().signal;

/** Bytes that tell where they lie. */
function bytes(from: number, to: number): Uint8Array {
  return Uint8Array.from({ length: to - from }, (_, index) => (from + index) % 251);
}

/** All that can be taken now. */
async function taken(tape: Tape): Promise<Saying[]> {
  tape.close();
  const sayings: Saying[] = [];
  for (let piece = await tape.take(never); piece !== undefined; piece = await tape.take(never)) {
    assert.equal(piece.sequence, BigInt(sayings.length));
    sayings.push(piece.saying);
  }
  return sayings;
}

suite("a tape", () => {
  test("joins audio that waits, up to 64 KiB, and cuts what is larger", async () => {
    const tape = new Tape(LINEAR, 1 << 20);
    tape.append(bytes(0, 100));
    tape.append(bytes(100, 150));
    tape.append(bytes(150, 100_000));
    const sizes = (await taken(tape)).map((saying) => (saying.kind === "audio" ? saying.bytes.length : 0));
    assert.deepEqual(sizes, [150, 65_536, 34_314]);
  });

  test("keeps what takes no time in its place", async () => {
    const tape = new Tape(LINEAR, 1 << 20);
    tape.append(bytes(0, 32));
    tape.endUtterance();
    tape.silence(500);
    tape.append(bytes(32, 64));
    assert.deepEqual(await taken(tape), [
      { kind: "audio", bytes: bytes(0, 32) },
      { kind: "end of utterance" },
      { kind: "silence", ms: 500 },
      { kind: "audio", bytes: bytes(32, 64) },
    ]);
  });

  test("copies what it is given", async () => {
    const tape = new Tape(LINEAR, 1 << 20);
    const buffer = bytes(0, 8);
    tape.append(buffer);
    buffer.fill(0);
    assert.deepEqual(await taken(tape), [{ kind: "audio", bytes: bytes(0, 8) }]);
  });

  test("of LINEAR16 goes back to where it is told, even within a piece or a silence", async () => {
    const tape = new Tape(LINEAR, 1 << 20);
    tape.append(bytes(0, 10 * MS));
    tape.silence(10);
    tape.append(bytes(0, 10 * MS));
    await tape.take(never);
    tape.rewind(4);
    assert.deepEqual((await tape.take(never))?.saying, { kind: "audio", bytes: bytes(4 * MS, 10 * MS) });
    tape.rewind(13);
    assert.deepEqual(await taken(tape), [
      { kind: "silence", ms: 7 },
      { kind: "audio", bytes: bytes(0, 10 * MS) },
    ]);
  });

  test("takes no silence that a server would refuse", async () => {
    const tape = new Tape(LINEAR, 1 << 20);
    for (const ms of [0, -1, 60_001, NaN, Infinity]) {
      assert.throws(() => tape.silence(ms), RangeError);
    }
    tape.silence(60_000);
    assert.deepEqual((await tape.take(never))?.saying, { kind: "silence", ms: 60_000 });
  });

  test("of LINEAR16 forgets what is long settled, but nothing that was not sent", async () => {
    const tape = new Tape(LINEAR, 1 << 20);
    tape.silence(5_000);
    await tape.take(never);
    tape.append(bytes(0, 20 * MS));
    tape.settle(65_010);
    assert.throws(() => tape.rewind(4_999), RangeError);
    tape.rewind(5_005);
    assert.deepEqual(await taken(tape), [{ kind: "audio", bytes: bytes(5 * MS, 20 * MS) }]);
  });

  test("of LINEAR16 begins behind what was said in every channel, or with what is kept; no other one cuts", () => {
    const tape = new Tape(create(AudioFormatSchema, { ...LINEAR, channelCount: 2 }), 1 << 20);
    tape.append(bytes(0, 100 * MS));
    assert.equal(tape.beginAfter(new Map([[0, 30n]])), 0);
    assert.equal(tape.beginAfter(new Map([[0, 30n], [1, 20n]])), 20);
    tape.append(bytes(0, 7));
    tape.rewind(50);
    assert.equal(tape.beginAfter(new Map([[0, 30n], [1, 20n]])), 50);
    assert.equal(tape.isSaidBy(51), false);
    tape.close();
    assert.equal(tape.isSaidBy(50), false);
    assert.equal(tape.isSaidBy(51), true);
    assert.equal(new Tape(WEBM, 1 << 20).beginAfter(new Map([[0, 30n]])), 0);
  });

  test("of two channels counts both", async () => {
    const tape = new Tape(create(AudioFormatSchema, { ...LINEAR, channelCount: 2 }), 1 << 20);
    tape.append(bytes(0, 10 * MS));
    tape.rewind(2);
    assert.deepEqual(await taken(tape), [{ kind: "audio", bytes: bytes(4 * MS, 10 * MS) }]);
  });

  test("of a container begins anew, and has no silence", async () => {
    const tape = new Tape(WEBM, 1 << 20);
    tape.append(bytes(0, 50));
    await tape.take(never);
    tape.append(bytes(50, 80));
    tape.settle(1_000);
    tape.rewind(1_000);
    assert.deepEqual(await taken(tape), [{ kind: "audio", bytes: bytes(0, 80) }]);
    assert.throws(() => tape.silence(10), TypeError);
  });

  test("makes its caller wait for room, and refuses a caller who does not", async () => {
    const tape = new Tape(LINEAR, 1_000);
    tape.append(bytes(0, 1_001));
    let roomy = false;
    const waiting = tape.room().then(() => (roomy = true));
    await new Promise(setImmediate);
    assert.equal(roomy, false);
    await tape.take(never);
    await waiting;
    assert.throws(() => tape.append(bytes(0, 16_001)), RangeError);
  });

  test("asks for no room while it is only sent again", async () => {
    const tape = new Tape(WEBM, 1_000);
    for (let at = 0; at < 20_000; at += 1_000) {
      tape.append(bytes(at, at + 1_000));
      await tape.take(never);
    }
    tape.rewind(0);
    tape.append(bytes(20_000, 20_500));
    await tape.room();
  });

  test("gives a sign of life when nothing else is said", async () => {
    const tape = new Tape(LINEAR, 1_000);
    tape.append(bytes(0, 16));
    await tape.take(never);
    tape.keepAlive(); // something was said since the last time
    tape.keepAlive();
    tape.keepAlive(); // the first still waits
    tape.close();
    assert.deepEqual((await tape.take(never))?.saying, { kind: "keepalive" });
    assert.equal(await tape.take(never), undefined);
  });

  test("that was closed takes no more; that failed says with what", async () => {
    const closed = new Tape(LINEAR, 1_000);
    closed.close();
    assert.throws(() => closed.append(bytes(0, 1)), TypeError);
    const failed = new Tape(LINEAR, 1);
    failed.append(bytes(0, 10));
    const waiting = thrownBy(failed.room());
    const failure = new Error("the server is gone");
    failed.fail(failure);
    assert.equal(await waiting, failure);
    assert.throws(() => failed.append(bytes(0, 1)), failure);
  });

  test("lets go of who takes when the stay is over", async () => {
    const tape = new Tape(LINEAR, 1_000);
    const stop = new AbortController();
    const taking = thrownBy(tape.take(stop.signal));
    stop.abort();
    assert.equal(await taking, stop.signal.reason);
    tape.append(bytes(0, 10));
    assert.equal((await tape.take(never))?.sequence, 0n);
  });
});
