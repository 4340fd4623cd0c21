/** The microphone of a browser, for live sessions. */
export { type Codec, Microphone, type MicrophoneFormat } from "./microphone.js";
