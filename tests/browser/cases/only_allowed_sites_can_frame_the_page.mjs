import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

export default async function (browser) {
  const { base, port, allowed, refused } = browser.config;
  // Two other sites, on this machine. Each has one page, which shows ours in a frame.
  const body = `<!doctype html><title>A platform</title><iframe src="${base}/dashboard"></iframe>`;
  const sites = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(body));
  await once(sites.listen(port, "127.0.0.1"), "listening");
  const page = await (await browser.context(null)).newPage();

  await page.goto(allowed);
  const title = page.frameLocator("iframe").getByRole("heading", { level: 1 });
  await title.waitFor();
  assert.equal(await title.textContent(), "API & webhooks");

  const said = page.waitForEvent("console", (message) => message.text().includes("frame-ancestors"));
  await page.goto(refused);
  await said;
  assert.equal(await title.count(), 0);
  sites.close();
  sites.closeAllConnections();
}
