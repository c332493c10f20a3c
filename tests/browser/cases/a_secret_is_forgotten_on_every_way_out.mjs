import assert from "node:assert/strict";
import { button, dialog, generate, hide, notice, opensPortal, save, state } from "../steps.mjs";

const KEY = "**/api/v1/partners/api-key";

export default async function (browser) {
  const context = await browser.context();
  // A browser may delay the dialog's `close` event for as long as another tab is in front. Here the event
  // never comes, so nothing can depend on it.
  await context.addInitScript(() => addEventListener("close", (event) => event.stopImmediatePropagation(), true));
  const page = await browser.open(context);
  const key = await generate(page);
  await save(page);
  assert.equal(await page.locator("#key").textContent(), "");
  await state(page, "Ready");
  await page.reload();
  await state(page, "Ready");

  const input = page.locator("#portal-key");
  const paste = async () => {
    await button(page, "Open webhook portal").click();
    await input.fill(key);
  };
  const isForgotten = async (wayOut) => {
    assert.equal(await input.inputValue(), "", wayOut);
    assert.equal(await page.locator("dialog[open]").count(), 0, wayOut);
  };

  await paste();
  await button(page, "Cancel").click();
  await isForgotten("Cancel");

  await paste();
  await page.keyboard.press("Escape");
  await isForgotten("Escape");

  await paste();
  await page.evaluate(() => document.getElementById("portal-dialog").close());
  await isForgotten("a script");

  await paste();
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await isForgotten("leaving the page");

  // The dialog stays open while the page is hidden, but without the key.
  await paste();
  await hide(page, true);
  assert.equal(await input.inputValue(), "", "the page is hidden");
  await hide(page, false);
  await button(page, "Cancel").click();

  // The portal's tab is in front, and stays there.
  await paste();
  const opened = context.waitForEvent("page");
  await button(page, "Open portal").click();
  const portal = await opened;
  await portal.waitForURL(/login/);
  await isForgotten("the portal has opened");
  await portal.close();

  // The link, where the browser allows no new tab.
  await page.evaluate(() => (window.open = () => null));
  const link = page.locator("#link");
  const offer = async () => {
    await paste();
    await button(page, "Open portal").click();
    await dialog(page, "Your portal is ready").waitFor();
    assert.equal(await input.inputValue(), "", "the link is offered");
    assert.match(await link.getAttribute("href"), /login/);
  };
  const isRemoved = async (wayOut) => {
    assert.equal(await link.getAttribute("href"), null, wayOut);
    await isForgotten(wayOut);
  };
  await offer();
  await page.locator("#link-dialog").getByRole("button", { name: "Cancel" }).click();
  await isRemoved("Cancel");
  await offer();
  await page.keyboard.press("Escape");
  await isRemoved("Escape");
  await offer();
  await hide(page, true);
  await isRemoved("the page is hidden");
  await hide(page, false);
  await offer();
  await opensPortal(page, () => link.click());
  await isRemoved("the link was used");

  // The session ends while the dialog is open.
  await paste();
  await browser.signIn(context, browser.config.expired);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.getByText("Your session has ended.", { exact: true }).waitFor();
  await isForgotten("the session has ended");

  // The key is refused. It is forgotten although the page's next request gets no answer.
  await browser.signIn(context, browser.config.session);
  await page.reload();
  await state(page, "Ready");
  assert.equal((await browser.call("DELETE", browser.config.session)).status, 200);
  let answer;
  await page.route(KEY, (route) => (answer = () => route.continue()));
  await paste();
  const refused = page.waitForResponse((response) => response.status() === 401);
  const asked = page.waitForRequest(KEY);
  await button(page, "Open portal").click();
  await Promise.all([refused, asked]);
  await isForgotten("the key is refused");
  await answer();
  await notice(page, "This key is no longer active");
}
