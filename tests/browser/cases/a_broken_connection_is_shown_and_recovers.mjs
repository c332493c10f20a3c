import assert from "node:assert/strict";
import { button, generate, notice, opensPortal, save, shownKey, state } from "../steps.mjs";

const API = "**/api/v1/partners/**";

export default async function (browser) {
  const context = await browser.context();
  const page = await browser.open(context);

  await context.setOffline(true);
  await notice(page, "You are offline");
  await browser.look(page, "1-offline");
  await button(page, "Generate API key").click();
  await notice(page, "You are offline");
  await context.setOffline(false);
  await page.locator("#notice").waitFor({ state: "hidden" });

  // The request arrives, but its answer does not. So a key exists that nobody has seen.
  await page.route(API, async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    await route.fetch();
    await route.abort("connectionreset");
  });
  await button(page, "Generate API key").click();
  await notice(page, /The connection broke before your new key arrived.*Revoke pk_live_/);
  await browser.look(page, "2-lost");
  await page.unroute(API);
  await button(page, "Revoke").click();
  await button(page, "Revoke key").click();
  await generate(page);
  await save(page);
  await state(page, "Ready");

  // The first request fails, so there is nothing else to show.
  await page.route(API, (route) => route.abort("connectionrefused"));
  await page.reload();
  await page.getByText("Your key could not be loaded.").waitFor();
  await browser.look(page, "3-unreachable");
  const tried = page.waitForRequest(API);
  await button(page, "Try again").click();
  await tried;
  await page.unroute(API);
  await button(page, "Revoke").waitFor();

  // A proxy answers with a page of its own, or redirects to a login.
  await page.route(API, (route) => route.fulfill({ status: 502, contentType: "text/html", body: "<h1>Bad</h1>" }));
  await button(page, "Revoke").click();
  await button(page, "Revoke key").click();
  await page.locator("#revoke-dialog [data-message]", { hasText: "does not answer" }).waitFor();
  await button(page, "Keep it").click();
  await page.unroute(API);
  await page.route(API, (route) => route.fulfill({ status: 302, headers: { location: "/login" } }));
  await page.reload();
  await page.getByText("Your session has ended.", { exact: true }).waitFor();
  await page.unroute(API);

  // The browser has no clipboard and allows no new tab.
  const bare = await browser.tab(await browser.context(browser.config.others[0]));
  await bare.addInitScript(() => {
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    window.open = () => null;
  });
  await bare.goto(`${browser.config.base}/dashboard`);
  await button(bare, "Generate API key").click();
  const key = await shownKey(bare);
  await button(bare, "Copy key").click();
  await button(bare, "Copied").waitFor();
  await save(bare);
  await state(bare, "Ready");
  const reader = await browser.tab(bare.context());
  await reader.goto(`${browser.config.base}/dashboard`);
  assert.equal(await reader.evaluate(() => navigator.clipboard.readText()), key);
  await reader.close();
  await button(bare, "Open webhook portal").click();
  const link = bare.getByRole("link", { name: "Open portal" });
  await link.waitFor();
  await browser.look(bare, "4-link");
  await opensPortal(bare, () => link.click());
  await bare.locator("#link-dialog").waitFor({ state: "hidden" });
  assert.equal(await bare.locator("#link").getAttribute("href"), null);
}
