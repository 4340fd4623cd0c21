/** A live session with scripted servers, what is said in it, and what it tells. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { createClient, createRouterTransport } from "@connectrpc/connect";

import {
  AudioEncoding,
  ErrorReason,
  type LiveHandlers,
  type LiveOptions,
  LiveSession,
  LiveSessionService,
} from "../src/index.js";
import { digest, type Faults, FORMAT, ScriptedAsr, SECOND } from "./scripted-asr.js";

export const STEP = 1_600; // 100 ms
export const WEBM = { encoding: AudioEncoding.WEBM };

/** A session with scripted servers, and all that it told. */
export class Scene {
  readonly told: string[] = [];
  private readonly handlers: LiveHandlers = {
    final: ({ text }) => this.told.push(text),
    refinement: ({ finalIndex, text }) => this.told.push(`better ${finalIndex}: ${text}`),
    resuming: ({ reason }) => this.told.push(`resuming: ${ErrorReason[reason]}`),
    resumed: (_, anew) => this.told.push(anew ? "begun anew" : "resumed"),
    failed: ({ reason }) => this.told.push(`failed: ${ErrorReason[reason]}`),
  };

  constructor(readonly asr: ScriptedAsr) {}

  static with(faults: Faults = {}): Scene {
    return new Scene(new ScriptedAsr(faults));
  }

  /** What was told but for the finals. */
  get changes(): string[] {
    return this.told.filter((line) => /^(resum|begun|fail)/.test(line));
  }

  async open(format: object = FORMAT, options: LiveOptions = {}): Promise<LiveSession> {
    const client = createClient(LiveSessionService, createRouterTransport(this.asr.routes));
    return LiveSession.open(client, { format }, this.handlers, options);
  }
}

export async function say(session: LiveSession, audio: Uint8Array, meanwhile = async (_: number) => {}): Promise<void> {
  for (let at = 0, step = 0; at < audio.length; at += STEP, step += 1) {
    await session.push(audio.subarray(at, at + STEP));
    await meanwhile(step);
  }
}

/** What an undisturbed session makes of audio. */
export function textsOf(audio: Uint8Array): string[] {
  const texts = [];
  for (let at = 0; at < audio.length; at += SECOND) {
    texts.push(digest(audio.subarray(at, at + SECOND)));
  }
  return texts;
}

export async function textsAtTheEnd(session: LiveSession): Promise<string[]> {
  return (await session.close()).map(({ text }) => text);
}

/** Resolves when `holds` does. */
export async function until(holds: () => boolean): Promise<void> {
  for (let rest = 2_000; !holds(); rest -= 5) {
    assert.ok(rest > 0, `not within 2 s: ${holds}`);
    await sleep(5);
  }
}
