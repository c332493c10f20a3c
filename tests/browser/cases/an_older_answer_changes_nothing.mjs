import { button, generate, save, state } from "../steps.mjs";

const KEY = "**/api/v1/partners/api-key";

export default async function (browser) {
  const context = await browser.context();
  const page = await browser.open(context);
  await generate(page);
  await save(page);
  await state(page, "Ready");

  // Of two requests the first is answered last.
  const held = [];
  await page.route(KEY, async (route) => held.push({ route, response: await route.fetch() }));
  const ask = () => page.evaluate(() => dispatchEvent(new Event("online")));
  await ask();
  await waitFor(() => held.length === 1);
  await browser.signIn(context, browser.config.expired);
  await ask();
  await waitFor(() => held.length === 2);
  const ended = page.getByText("Your session has ended.", { exact: true });
  await held[1].route.fulfill({ response: held[1].response });
  await ended.waitFor();
  const answered = page.waitForResponse((response) => response.status() === 200);
  await held[0].route.fulfill({ response: held[0].response });
  await (await answered).finished();
  await page.evaluate(() => new Promise(requestAnimationFrame)); // the page has taken in the answer
  await ended.waitFor();
  await page.unroute(KEY);
  await browser.signIn(context, browser.config.session);
  await page.reload();
  await button(page, "Revoke").waitFor();
}

async function waitFor(condition) {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
