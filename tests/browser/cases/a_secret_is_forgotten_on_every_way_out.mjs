import assert from "node:assert/strict";
import { button, dialog, generate, hasFocus, hide, notice, opensPortal, save, state } from "../steps.mjs";

const KEY = "**/api/v1/partners/api-key";
const PORTAL = "**/api/v1/partners/portal";

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

  // The browser's "undo" does not bring the key back.
  await button(page, "Open webhook portal").click();
  await page.keyboard.insertText(key);
  assert.equal(await input.inputValue(), key);
  await page.keyboard.press("Escape");
  await button(page, "Open webhook portal").click();
  await hasFocus(page, "portal-key");
  await page.keyboard.press("Control+z");
  assert.equal(await input.inputValue(), "", "undo");
  await page.keyboard.press("Escape");

  // The user cancels while the call is in progress. The call ends, and no tab opens.
  await paste();
  await page.evaluate(() => {
    AbortSignal.timeout = () => new AbortController().signal; // only Escape can end the call
    window.opened = 0;
    const open = window.open;
    window.open = (...values) => {
      window.opened += 1;
      return open.apply(window, values);
    };
  });
  await page.route(PORTAL, () => {}); // never answers
  const [call] = await Promise.all([page.waitForRequest(PORTAL), button(page, "Open portal").click()]);
  const canceled = page.waitForEvent("requestfailed", (request) => request === call);
  await page.keyboard.press("Escape");
  await canceled;
  await isForgotten("Escape during the call");
  assert.equal(await page.evaluate(() => window.opened), 0);
  await page.unroute(PORTAL);

  // The dialog stays open while the page is hidden, but without the key.
  await paste();
  await hide(page, true);
  assert.equal(await input.inputValue(), "", "the page is hidden");
  await hide(page, false);
  await page.locator("#portal-message", { hasText: "Paste it again" }).waitFor();
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
  await notice(page, "The link to your portal was removed");
  await button(page, "Dismiss").click();
  for (const mouseButton of ["left", "middle"]) {
    await offer();
    await opensPortal(page, () => link.click({ button: mouseButton }));
    await isRemoved(`the ${mouseButton} button was used`);
  }

  // The link arrives while the page is hidden.
  const held = new Promise((resolve) => page.route(PORTAL, resolve));
  await paste();
  await button(page, "Open portal").click();
  const route = await held;
  await hide(page, true);
  await route.continue();
  await notice(page, "The link to your portal was removed");
  await isRemoved("the page was hidden before the answer");
  await hide(page, false);
  await page.unroute(PORTAL);

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
