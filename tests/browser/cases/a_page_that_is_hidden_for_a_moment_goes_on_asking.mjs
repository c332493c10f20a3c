import assert from "node:assert/strict";
import { hide, state } from "../steps.mjs";

export default async function (browser) {
  const page = await browser.open(); // without a key, it does not ask on its own
  // The page's clock is stopped, so all that follows happens within a second, however slow the machine is.
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000);
  await browser.faults([{ route: "create", fault: { status: 503 } }]);
  const created = await browser.call("POST", browser.config.session);
  assert.equal(created.status, 201);

  await page.evaluate(() => dispatchEvent(new Event("online")));
  await state(page, "Setting up");
  const before = page.sent.length;
  await hide(page, true);
  await hide(page, false);
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  assert.equal(page.sent.length, before, "it asks at most once a second");

  const asked = page.waitForRequest(/api-key$/);
  await page.clock.runFor(1000);
  await asked;
  assert.equal(page.sent.length, before + 1, "one request serves the visibility and the focus");
}
