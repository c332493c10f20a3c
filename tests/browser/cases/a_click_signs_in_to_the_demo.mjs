import assert from "node:assert/strict";
import { button, generate, save, state } from "../steps.mjs";

export default async function (browser) {
  const context = await browser.context(null);
  const page = await browser.tab(context);
  await page.goto(browser.config.link);
  assert.deepEqual(await context.cookies(), [], "opening the page signs nobody in");
  await button(page, "Sign in to the demo").click();
  await page.waitForURL("**/dashboard");
  assert.equal(page.url(), `${browser.config.base}/dashboard`);
  const [cookie] = await context.cookies();
  assert.deepEqual(
    [cookie.name, cookie.httpOnly, cookie.sameSite, cookie.path],
    [browser.config.cookie ?? "session", true, "Lax", "/"],
  );
  await generate(page);
  await save(page);
  await state(page, "Ready");
  await browser.picture(page, "ready");
}
