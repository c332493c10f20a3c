import assert from "node:assert/strict";
import { dialog, generate, hasFocus, isNowhere, opensPortal, save, shownKey, state } from "../steps.mjs";

export default async function (browser) {
  const page = await browser.open();
  const press = (...keys) => keys.reduce((done, key) => done.then(() => page.keyboard.press(key)), Promise.resolve());
  const has = (id) => hasFocus(page, id);
  const announced = (text) => page.locator("#announcement", { hasText: text }).waitFor({ state: "attached" });
  const works = async (key) => (await browser.call("GET", key, "portal")).status === 200;
  const rotation = page.getByRole("region", { name: "Your previous key still works" });

  const first = await generate(page);
  await save(page);
  await state(page, "Ready");
  await has("key-title");

  /** Replaces the key, whose button has the focus, and saves the new one. */
  const rotate = async (look) => {
    await press("Enter");
    await dialog(page, /^Replace pk_live_/).waitFor();
    if (look) await browser.look(page, "1-replace");
    await press("Tab");
    await has("rotate-now");
    await press("Enter");
    const key = await shownKey(page);
    await has("copy");
    await press("Tab");
    await has("saved");
    await press("Space", "Tab");
    await has("done");
    await press("Enter");
    await has("key-title");
    await rotation.waitFor();
    return key;
  };

  // The user changes their mind before and after.
  await press("Tab");
  await has("rotate");
  await press("Enter");
  await dialog(page, /^Replace pk_live_/).waitFor();
  await press("Escape");
  await has("rotate");
  const second = await rotate(true);
  assert.notEqual(second, first);
  assert.equal(await page.locator("#prefix").textContent(), second.slice(0, 24));
  assert.equal(await page.locator("#previous-prefix").textContent(), first.slice(0, 24));
  assert.equal(await page.locator("#previous-used").textContent(), "Never");
  assert(await works(first) && await works(second));
  await page.locator("#previous-used time").waitFor(); // without a reload
  await state(page, "Ready");
  await browser.look(page, "2-both");
  await isNowhere(page, second);

  await press("Tab");
  await has("finish");
  await press("Tab");
  await has("cancel");
  await press("Enter");
  await dialog(page, `Go back to ${first.slice(0, 24)}?`).waitFor();
  await browser.look(page, "3-cancel");
  await press("Tab");
  await has("cancel-now");
  await press("Enter");
  await announced("is your key again");
  await has("key-title");
  await rotation.waitFor({ state: "hidden" });
  assert.equal(await page.locator("#prefix").textContent(), first.slice(0, 24));
  assert(await works(first) && !(await works(second)));

  // This time the new key stays.
  await press("Tab");
  await has("rotate");
  const third = await rotate(false);
  await press("Tab");
  await has("finish");
  await press("Enter");
  await dialog(page, `End ${first.slice(0, 24)}?`).waitFor();
  await browser.look(page, "4-finish");
  await press("Escape");
  await has("finish");
  await press("Enter", "Tab");
  await has("finish-now");
  await press("Enter");
  await announced("has ended");
  await has("key-title");
  await rotation.waitFor({ state: "hidden" });
  assert(await works(third) && !(await works(first)));

  // The page still has the new key in memory.
  await press("Tab", "Tab", "Tab");
  await has("portal");
  await opensPortal(page, () => press("Enter"));
  await isNowhere(page, third);

  // Revoking ends both keys of a rotation. Another tab has started it.
  const other = await browser.call("POST", browser.config.session, "api-key/rotation");
  const { api_key: fourth } = await other.json();
  await page.reload();
  await rotation.waitFor();
  await press("Tab", "Tab", "Tab");
  await has("revoke");
  await press("Enter");
  await page.getByText("or the previous one").waitFor();
  await press("Tab", "Enter");
  await announced("is revoked");
  assert(!(await works(third)) && !(await works(fourth)));
}
