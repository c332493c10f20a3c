import assert from "node:assert/strict";
import { dialog, hasFocus, opensPortal, shownKey, state } from "../steps.mjs";

export default async function (browser) {
  const context = await browser.context(undefined, { reducedMotion: "reduce", colorScheme: "dark" });
  const page = await browser.open(context);
  const press = (...keys) => keys.reduce((done, key) => done.then(() => page.keyboard.press(key)), Promise.resolve());
  const has = (id) => hasFocus(page, id);

  await press("Tab");
  await has("generate");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
  await browser.picture(page, "1-focus");
  await press("Enter");
  const key = await shownKey(page);
  await has("copy");
  await press("Enter", "Tab");
  await has("saved");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  await press("Escape");
  await dialog(page, "Save your API key").waitFor();
  await press("Space", "Tab");
  await has("done");
  await press("Tab"); // to the first control or to the browser's own controls, but never behind the dialog
  assert(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog")));
  await press("Shift+Tab");
  await has("done");
  await press("Enter");
  await page.locator("#key-dialog").waitFor({ state: "hidden" });
  await has("key-title");

  await press("Tab");
  await has("rotate");
  await press("Tab");
  await has("revoke");
  await state(page, "Ready");
  await press("Tab");
  await has("portal");
  await opensPortal(page, () => press("Enter"));

  await press("Shift+Tab", "Enter");
  await dialog(page, /^Revoke pk_live_/).waitFor();
  await press("Escape");
  await page.locator("#revoke-dialog").waitFor({ state: "hidden" });
  await has("revoke");
  await press("Enter", "Tab");
  await has("revoke-now");
  await press("Enter");
  await page.locator("#announcement", { hasText: "is revoked" }).waitFor({ state: "attached" });
  await has("key-title");
  await press("Tab");
  await has("generate");

  // Nothing moves, because the user prefers reduced motion.
  assert.deepEqual(await page.evaluate(() => document.getAnimations().length), 0);
}
