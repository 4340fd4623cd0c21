import { Board } from "./board.js";
import { Controls } from "./controls.js";
import { inWords, Talk } from "./talk.js";

const board = new Board();
const controls = new Controls(document.querySelector<HTMLFormElement>("#controls")!);
let talk: Talk | undefined;

board.onRecord(() => void (talk === undefined ? speak() : talk.stop()));

async function speak(): Promise<void> {
  const choices = controls.read();
  if (choices === undefined) {
    return;
  }
  board.clear();
  board.say("opening", "Opening the microphone and the session.");
  try {
    talk = await Talk.begin(board, choices);
    await talk.run(choices);
  } catch (thrown) {
    board.say("failed", inWords(thrown));
  } finally {
    talk = undefined;
  }
}
