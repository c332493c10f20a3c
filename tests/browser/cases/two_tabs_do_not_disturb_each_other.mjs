import assert from "node:assert/strict";
import { button, dialog, generate, notice, revoke, save, state } from "../steps.mjs";

export default async function (browser) {
  const [one, two] = [await browser.open(), await browser.open()];
  const prefix = (page) => page.locator("#prefix").textContent();

  // Neither tab shows a key. The first one generates a key, then the second one tries to.
  const key = await generate(one);
  await save(one);
  await button(two, "Generate API key").click();
  await notice(two, "created in another tab");
  await button(two, "Revoke").waitFor();
  assert.equal(await prefix(two), key.slice(0, 24));
  await browser.look(two, "1-conflict");

  // The second tab is about to revoke the key. Meanwhile the first one replaces it.
  await button(two, "Revoke").click();
  await dialog(two, `Revoke ${key.slice(0, 24)}?`).waitFor();
  await revoke(one);
  const newer = await generate(one);
  await save(one);
  await button(two, "Revoke key").click();
  await notice(two, "was not changed");
  assert.equal(await prefix(two), newer.slice(0, 24));
  assert.equal((await browser.call("GET", newer, "portal")).status !== 401, true);

  // The second tab revokes that key. The first one still has it in memory, and notices at the portal.
  await state(one, "Ready");
  await revoke(two);
  await button(one, "Open webhook portal").click();
  await notice(one, "no longer active");
  await button(one, "Generate API key").waitFor();
}
