import assert from "node:assert/strict";
import { button, save, shownKey, state } from "../steps.mjs";

export default async function (browser) {
  const page = await browser.open();
  await button(page, "Generate API key").dblclick();
  const key = await shownKey(page);
  await save(page);
  await state(page, "Ready");
  assert.equal(await page.locator("#prefix").textContent(), key.slice(0, 24));
  assert.equal(await page.locator("#notice").isVisible(), false);
  assert.equal(page.sent.filter((request) => request.startsWith("POST")).length, 1);
  assert.equal(page.sent.filter((request) => request.startsWith("DELETE")).length, 0);
}
