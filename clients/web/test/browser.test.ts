/**
 * The page in a real browser, whose microphone hears a file: set AI2TEXT_CHROMIUM, AI2TEXT_PAGE (its address, with edge
 * and token behind the #), AI2TEXT_CLIP (a WAV file) and AI2TEXT_WORDS (what is said in it, without punctuation).
 */
import assert from "node:assert/strict";
import { env } from "node:process";
import { after, before, describe as suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { type Browser, chromium, type Page } from "playwright-core";

import { alike } from "./words.js";

const { AI2TEXT_CHROMIUM: chrome = "", AI2TEXT_PAGE: address = "" } = env;
const { AI2TEXT_CLIP: clip = "", AI2TEXT_WORDS: words = "" } = env;
const skip = chrome && address && clip && words ? false : "AI2TEXT_CHROMIUM, _PAGE, _CLIP and _WORDS are not set";

declare global {
  interface Window {
    /** All that was shown as being said: what is gone before somebody looks counts, too. */
    captions: string[];
  }
}

suite("the page in a browser", { skip, timeout: 120_000, concurrency: 2 }, () => {
  let browser: Browser;
  let captions = 0;

  before(async () => {
    browser = await chromium.launch({
      executablePath: chrome,
      args: [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        `--use-file-for-fake-audio-capture=${clip}%noloop`,
      ],
    });
  });

  after(async () => {
    await browser.close();
    assert.notEqual(captions, 0, "words are shown while they are said"); // a server that has no time leaves some out
  });

  for (const codec of ["opus", "pcm"]) {
    test(`shows what is said: ${codec}`, async () => {
      const page = await opened(browser, codec);
      await page.click("#record");
      await heardMost(page);
      await page.click("#record");
      await page.waitForSelector("#status[data-state=done]");
      assert.ok(alike(await said(page), words) > 0.6, await said(page));
      captions += await page.evaluate(() => window.captions.length);
      assert.match(await page.innerText("#status"), /Kept as recording [0-9a-f-]{36}/);
      assert.match(await page.innerText("#finals time"), /^\d+:\d\d$/);
      assert.equal(await page.innerText("#caption"), "");
      await page.close();
    });

    test(`loses nothing when the network is away for a while: ${codec}`, async () => {
      const page = await opened(browser, codec);
      await page.click("#record");
      await page.waitForFunction(() => window.captions.length > 0 || document.querySelector("#finals li"));
      await page.context().setOffline(true);
      await page.waitForSelector("#status[data-state=resuming]");
      await sleep(1_500);
      await page.context().setOffline(false);
      await page.waitForSelector("#status[data-state=live]");
      await heardMost(page);
      await page.click("#record");
      await page.waitForSelector("#status[data-state=done]");
      assert.ok(alike(await said(page), words) > 0.6, await said(page));
      captions += await page.evaluate(() => window.captions.length);
      await page.close();
    });
  }

  test("says what is wrong with a token", async () => {
    const page = await opened(browser, "pcm");
    await page.fill("[name=token]", "not a token");
    await page.focus("#record");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#status[data-state=failed]");
    assert.match(await page.innerText("#status"), /^Unauthenticated/);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "record", "the button keeps the focus");
    await page.close();
  });
});

/** The page, ready to record. Its errors fail the test. */
async function opened(browser: Browser, codec: string): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => assert.fail(error));
  await page.goto(address);
  await page.evaluate(() => {
    const caption = document.querySelector("#caption")!;
    window.captions = [];
    const note = () => caption.textContent && window.captions.push(caption.textContent);
    new MutationObserver(note).observe(caption, { childList: true, characterData: true, subtree: true });
  });
  assert.equal(new URL(page.url()).hash, "", "the token does not stay in the address");
  await page.selectOption("[name=codec]", codec);
  return page;
}

/** Waits until most words are in finals, however many those are. */
async function heardMost(page: Page): Promise<void> {
  const most = 0.7 * words.split(" ").length;
  await page.waitForFunction((most) => {
    const lines = [...document.querySelectorAll("#finals span")].map((line) => line.textContent!.split(" ").length);
    return lines.reduce((sum, count) => sum + count, 0) >= most;
  }, most);
}

/** All that was said, in order. */
async function said(page: Page): Promise<string> {
  const lines = await page.locator("#finals span").allInnerTexts();
  return lines.reverse().join(" ");
}
