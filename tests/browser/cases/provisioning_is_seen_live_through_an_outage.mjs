import assert from "node:assert/strict";
import { button, generate, save, state } from "../steps.mjs";

export default async function (browser) {
  const page = await browser.open();
  await page.evaluate(() => {
    window.jumps = [];
    const note = (entry) => entry.hadRecentInput || window.jumps.push(JSON.stringify(entry));
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: "layout-shift", buffered: true });
  });
  // Of the first attempts each may be half a minute after the one before.
  const detail = (text) => page.locator("#webhook-detail", { hasText: text }).waitFor({ timeout: 60_000 });

  await browser.faults([{ route: "create", fault: { status: 503 } }]);
  await generate(page);
  await save(page);
  await state(page, "Setting up");
  await detail(/Attempt [1-9] did not get through. Next try in \d+ s/);
  await detail(/Attempt [4-9] did not get through. Next try in \d+ s/);
  await browser.look(page, "1-setting-up");
  await page.getByRole("button", { name: "Open webhook portal", disabled: true }).waitFor();

  // Nobody looks: nothing is asked, whatever time passes. Somebody looks again: it is asked at once.
  const asked = () => page.sent.length;
  await hide(page, true);
  await page.waitForLoadState("networkidle");
  const before = asked();
  await page.clock.install();
  await page.clock.runFor("10:00");
  assert.equal(asked(), before);
  await page.clock.resume();
  const looked = page.waitForRequest(/api-key$/);
  await hide(page, false);
  await looked;

  // Svix hangs: an attempt is under way. Then all is well, and the page sees it by itself.
  await browser.faults([{ route: "create", fault: { latency_ms: 4000 } }]);
  await detail(/Attempt \d+ is under way/);
  await browser.faults([]);
  await state(page, "Ready");
  await page.getByRole("button", { name: "Open webhook portal", disabled: false }).waitFor();
  assert.deepEqual(await page.evaluate(() => window.jumps), [], "the layout jumped");

  // What Svix will never take needs somebody.
  const other = await browser.open(await browser.context(browser.config.others[0]));
  await browser.faults([{ route: "create", fault: { status: 422 } }]);
  await generate(other);
  await save(other);
  await state(other, "Needs attention");
  await browser.look(other, "2-needs-attention");
  await browser.faults([]);
  await button(other, "Revoke").waitFor();
}

/** Chromium without a screen never hides a page: the page is told so. */
function hide(page, hidden) {
  return page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}
