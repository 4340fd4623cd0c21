import assert from "node:assert/strict";

/** What a promise is rejected with; fails when it is not. */
export async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
}

/** All the text of an export. */
export async function joined(pieces: AsyncIterable<{ text: string }>): Promise<string> {
  let text = "";
  for await (const piece of pieces) {
    text += piece.text;
  }
  return text;
}
