import assert from "node:assert/strict";
import { button, dialog, generate, notice, revoke, save, state } from "../steps.mjs";

export default async function (browser) {
  const [one, two] = [await browser.open(), await browser.open()];
  const prefix = (page) => page.locator("#prefix").textContent();

  // Both see no key; the first generates, then the second.
  const key = await generate(one);
  await save(one);
  await button(two, "Generate API key").click();
  await notice(two, "made in another tab");
  await button(two, "Revoke").waitFor();
  assert.equal(await prefix(two), key.slice(0, 24));
  await browser.look(two, "1-conflict");

  // The second is about to revoke a key; meanwhile the first puts another in its place.
  await button(two, "Revoke").click();
  await dialog(two, `Revoke ${key.slice(0, 24)}?`).waitFor();
  await revoke(one);
  const newer = await generate(one);
  await save(one);
  await button(two, "Revoke key").click();
  await notice(two, "was left alone");
  assert.equal(await prefix(two), newer.slice(0, 24));
  assert.equal((await browser.call("GET", newer, "portal")).status !== 401, true);

  // The second revokes that one; the first holds it still, and learns of it at the portal.
  await state(one, "Ready");
  await revoke(two);
  await button(one, "Open webhook portal").click();
  await notice(one, "no longer active");
  await button(one, "Generate API key").waitFor();
}
