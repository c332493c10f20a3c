import assert from "node:assert/strict";
import { button, dialog, hasFocus, generate, save, shownKey, state } from "../steps.mjs";

export default async function (browser) {
  const { expired, session, login } = browser.config;
  const context = await browser.context();
  const page = await browser.open(context);

  // The session ends while a new key is shown. The key stays, because it is not saved yet.
  const key = await generate(page);
  await browser.signIn(context, expired);
  const looked = page.waitForResponse((answer) => answer.status() === 401);
  await page.evaluate(() => window.dispatchEvent(new Event("online")));
  await looked;
  assert.equal(await shownKey(page), key);
  await save(page);
  await page.getByText("Your session has ended.", { exact: true }).waitFor();
  await browser.look(page, "1-ended");

  // The page links to the login if it knows one. Otherwise it says what to do.
  if (login) {
    await page.getByRole("link", { name: "Log in" }).click();
    await button(page, "Sign in to the demo").click();
    await button(page, "Generate API key").waitFor(); // the demo account has no key
  } else {
    await page.getByText("then reload this page").waitFor();
    assert.equal(await page.getByRole("link", { name: "Log in" }).count(), 0);
    await browser.signIn(context, session);
    await button(page, "Reload").click();
    await button(page, "Revoke").waitFor();
  }

  // The session ends before a button is pressed. While webhooks are being set up the page keeps polling, and
  // would notice first and close the dialog.
  await browser.signIn(context, session);
  await page.reload();
  await state(page, "Ready");
  await button(page, "Revoke").click();
  await browser.signIn(context, expired);
  await button(page, "Revoke key").click();
  await page.getByText("Your session has ended.", { exact: true }).waitFor();
  assert.equal(await page.locator("dialog[open]").count(), 0);
  await hasFocus(page, "key-title");

  // The session ends while a dialog is open, and the page notices by polling.
  await browser.signIn(context, session);
  await page.reload();
  await state(page, "Ready");
  await button(page, "Revoke").click();
  await dialog(page, /^Revoke pk_live_/).waitFor();
  await browser.signIn(context, expired);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.getByText("Your session has ended.", { exact: true }).waitFor();
  assert.equal(await page.locator("dialog[open]").count(), 0);
  await hasFocus(page, "key-title");

  // This user was never signed in.
  const stranger = await browser.open(await browser.context(null));
  await stranger.getByText("Your session has ended.", { exact: true }).waitFor();
}
