// The steps that users take on the page, and checks for after them.

import assert from "node:assert/strict";

export const button = (page, name) => page.getByRole("button", { name, exact: true });
export const dialog = (page, name) => page.getByRole("dialog", { name });
export const state = (page, text) => page.locator("#webhook-state", { hasText: text }).waitFor();
export const notice = (page, text) => page.locator("#notice", { hasText: text }).waitFor();

/** Generates a key. Its dialog stays open. */
export async function generate(page) {
  await button(page, "Generate API key").click();
  return shownKey(page);
}

/** Returns the key that the open dialog shows. */
export async function shownKey(page) {
  await dialog(page, "Save your API key").waitFor();
  const key = await page.locator("#key").textContent();
  assert.match(key, /^pk_live_[0-9a-f]{64}$/);
  return key;
}

/** Confirms that the key is saved, and closes the dialog. */
export async function save(page) {
  await page.getByLabel("I have saved this key").check();
  await button(page, "Done").click();
  await page.locator("#key-dialog").waitFor({ state: "hidden" });
}

/** Revokes the key. */
export async function revoke(page) {
  await button(page, "Revoke").click();
  await button(page, "Revoke key").click();
  await button(page, "Generate API key").waitFor();
}

/** Waits until the element has the focus. A dialog returns it a moment after it was closed. */
export const hasFocus = (page, id) => page.locator(`#${id}:focus`).waitFor();

/** Checks that the key is not visible, and nowhere but in the page's own memory. */
export async function isNowhere(page, key) {
  const places = await page.evaluate(async () => ({
    dom: document.documentElement.outerHTML,
    inputs: [...document.querySelectorAll("input")].map((input) => input.value),
    url: location.href,
    history: [history.state, history.length, window.name],
    storage: [{ ...localStorage }, { ...sessionStorage }],
    databases: await indexedDB.databases(),
    caches: await caches.keys(),
    cookies: document.cookie,
    asked: performance.getEntries().map((entry) => entry.name),
    selection: String(getSelection()),
  }));
  for (const [place, content] of Object.entries(places)) {
    assert(!JSON.stringify(content).includes(key.slice(24)), `the key is in ${place}`);
  }
  assert.deepEqual(places.storage, [{}, {}]);
  assert.deepEqual(places.databases, []);
  assert.deepEqual(places.caches, []);
  assert.equal(places.cookies, "");
  assert.equal(places.history[0], null);
}

/** Checks that `act` opens the portal in a new tab, which cannot reach this one. */
export async function opensPortal(page, act) {
  const [tab] = await Promise.all([page.context().waitForEvent("page"), act()]);
  await tab.getByRole("heading", { name: "This is where the Svix App Portal would be" }).waitFor();
  assert.equal(await tab.evaluate(() => window.opener), null);
  assert.equal(await tab.evaluate(() => document.referrer), "");
  await tab.close();
}

/** Hides the page, or shows it again. Chromium without a screen never does, so the page is told so. */
export function hide(page, isHidden) {
  return page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
}
