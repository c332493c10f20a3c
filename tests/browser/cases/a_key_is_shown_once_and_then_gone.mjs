import assert from "node:assert/strict";
import { button, dialog, hasFocus, generate, isNowhere, notice, opensPortal, revoke, save, state } from "../steps.mjs";

export default async function (browser) {
  const page = await browser.open();
  const prefix = page.locator("#prefix");
  await browser.look(page, "1-no-key");

  const key = await generate(page);
  await browser.look(page, "2-shown");

  await button(page, "Copy key").click();
  await button(page, "Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  await browser.look(page, "3-copied");

  // The dialog does not close before the key is saved, and leaving the page needs a confirmation.
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await button(page, "Done").click({ force: true }); // it looks disabled
  await page.locator("#key-dialog [data-message]", { hasText: "Save the key first" }).waitFor();
  assert.equal(await page.locator("#key").textContent(), key);
  await hasFocus(page, "saved");
  const asked = page.waitForEvent("dialog");
  const leaving = page.goto(`${browser.config.base}/docs`).catch((error) => error);
  const question = await asked;
  assert.equal(question.type(), "beforeunload");
  await question.dismiss();
  assert(await leaving instanceof Error, "the page was left without a confirmation");
  assert.equal(await page.locator("#key").textContent(), key);

  await save(page);
  await hasFocus(page, "key-title");
  await isNowhere(page, key);
  assert.equal(await prefix.textContent(), key.slice(0, 24));
  assert.match(await page.locator("#created").getAttribute("title"), /\d\d:\d\d:\d\d/);
  await state(page, "Ready");
  await browser.look(page, "4-ready");

  // The page still has the key in memory, so one click opens the portal.
  await opensPortal(page, () => button(page, "Open webhook portal").click());
  await page.locator("#used time").waitFor();

  // A saved key needs no confirmation. After the reload the page has lost the key, and the portal needs it.
  await page.reload();
  await button(page, "Revoke").waitFor();
  await isNowhere(page, key);
  await state(page, "Ready");
  await button(page, "Open webhook portal").click();
  const message = page.locator("#portal-message");
  const submit = async (text, complaint) => {
    await page.getByRole("textbox", { name: "API key" }).fill(text);
    await button(page, "Open portal").click();
    if (complaint) await message.filter({ hasText: complaint }).waitFor();
  };
  const before = page.sent.length;
  await submit("", "Paste your API key");
  await submit("pk_live_123", "not a complete API key");
  await submit(`pk_live_${"0".repeat(64)}`, "This is another key");
  assert.equal(page.sent.length, before, "only the key itself is sent");
  await browser.look(page, "5-asks");
  await opensPortal(page, () => submit(` ${key}\n`));
  await isNowhere(page, key);
  await button(page, "Open webhook portal").click();
  assert.equal(await page.getByRole("textbox", { name: "API key" }).inputValue(), "");
  await page.keyboard.press("Escape");
  await hasFocus(page, "portal");

  await button(page, "Revoke").click();
  await dialog(page, `Revoke ${key.slice(0, 24)}?`).waitFor();
  await page.locator("#revoke-text", { hasText: "stops working at once" }).waitFor();
  await browser.look(page, "6-revoking");
  await button(page, "Keep it").click();
  await hasFocus(page, "revoke");

  // The user decides to keep the key while the page still checks which key is active.
  const checked = new Promise((resolve) => page.route("**/api/v1/partners/api-key", resolve));
  await button(page, "Revoke").click();
  await button(page, "Revoke key").click();
  const route = await checked;
  await button(page, "Keep it").click();
  await route.continue();
  await page.unroute("**/api/v1/partners/api-key");
  await page.locator("#revoke-now:not([data-busy])").waitFor({ state: "attached" });
  assert.equal((await browser.call("GET", key, "portal")).status, 200);
  await revoke(page);
  await notice(page, `${key.slice(0, 24)} is revoked`);
  await browser.look(page, "7-revoked");
  assert.equal((await browser.call("GET", key, "portal")).status, 401);
  await isNowhere(page, key);
}
