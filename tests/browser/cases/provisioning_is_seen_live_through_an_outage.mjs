import assert from "node:assert/strict";
import { button, generate, hide, save, state } from "../steps.mjs";

export default async function (browser) {
  const page = await browser.open();
  await page.evaluate(() => {
    window.jumps = [];
    const note = (entry) => entry.hadRecentInput || window.jumps.push(JSON.stringify(entry));
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: "layout-shift", buffered: true });
  });
  // The first attempts may be up to half a minute apart.
  const detail = (text) => page.locator("#webhook-detail", { hasText: text }).waitFor({ timeout: 60_000 });

  await browser.faults([{ route: "create", fault: { status: 503 } }]);
  await generate(page);
  await save(page);
  await state(page, "Setting up");
  await detail(/Attempt [1-9] failed. The next attempt follows in \d+ s/);
  await detail(/Attempt [4-9] failed. The next attempt follows in \d+ s/);
  await browser.look(page, "1-setting-up");
  await page.getByRole("button", { name: "Open webhook portal", disabled: true }).waitFor();

  // A hidden page sends nothing, however long it stays hidden. Once it is visible, it asks at once.
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

  // Svix is slow, so an attempt is running. When it succeeds, the page shows that without a reload.
  await browser.faults([{ route: "create", fault: { latency_ms: 4000 } }]);
  await detail(/Attempt \d+ is running/);
  await browser.faults([]);
  await state(page, "Ready");
  await page.getByRole("button", { name: "Open webhook portal", disabled: false }).waitFor();
  assert.deepEqual(await page.evaluate(() => window.jumps), [], "the layout jumped");

  // Svix rejects the application, so an operator has to act.
  const other = await browser.open(await browser.context(browser.config.others[0]));
  await browser.faults([{ route: "create", fault: { status: 422 } }]);
  await generate(other);
  await save(other);
  await state(other, "Needs attention");
  await browser.look(other, "2-needs-attention");
  await browser.faults([]);
  await button(other, "Revoke").waitFor();
}
