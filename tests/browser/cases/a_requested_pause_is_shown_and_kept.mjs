import assert from "node:assert/strict";
import { button, generate, notice, opensPortal, revoke, save, state } from "../steps.mjs";

const API = "**/api/v1/partners/**";

export default async function (browser) {
  const page = await browser.open();
  const posts = () => page.sent.filter((request) => request.startsWith("POST")).length;
  const answers = (status, code, after) => (route) => {
    if (route.request().method() === "GET" && !route.request().url().endsWith("portal")) return route.continue();
    const error = { code, message: "From the test.", request_id: "7d2df0e1-1342-4fbd-a9cd-34843d444cac" };
    const headers = { "x-request-id": error.request_id, ...(after && { "retry-after": String(after) }) };
    return route.fulfill({ status, headers, json: { error } });
  };

  await page.clock.install();
  await page.route(API, answers(503, "unavailable", 60)); // long enough for a slow machine to take pictures
  await button(page, "Generate API key").click();
  await notice(page, /temporarily unavailable. Try again in \d\d s/);
  await browser.look(page, "1-unavailable");
  await button(page, "Generate API key").click();
  assert.equal(posts(), 1, "nothing is sent before the pause is over");
  await page.clock.runFor("01:01");
  await notice(page, "You can try again now");
  await page.unroute(API);

  await page.route(API, answers(429, "rate_limited", 60));
  await button(page, "Generate API key").click();
  await notice(page, /Too many requests.*Try again in \d\d s/);
  await page.clock.runFor("01:01");
  await page.unroute(API);

  await page.route(API, answers(500, "internal"));
  await button(page, "Generate API key").click();
  await notice(page, /on our side.*quote 7d2df0e1-1342-4fbd-a9cd-34843d444cac/);
  await browser.look(page, "2-broken");
  await page.unroute(API);
  await page.clock.resume();

  await page.route(API, answers(403, "forbidden"));
  await button(page, "Generate API key").click();
  await notice(page, "Reload the page");
  await page.unroute(API);

  await generate(page);
  await save(page);
  await state(page, "Ready");
  await browser.faults([{ route: "portal", fault: { status: 500 } }]);
  await button(page, "Open webhook portal").click();
  await notice(page, /webhook provider .* try again/); // the words of the API
  await browser.faults([]);
  await opensPortal(page, () => button(page, "Open webhook portal").click());

  // A limit on portal links holds up no revocation: the key may have been stolen.
  await page.route(API, answers(429, "rate_limited", 60));
  await button(page, "Open webhook portal").click();
  await notice(page, /Too many requests/);
  await page.unroute(API);
  await revoke(page);

  // In a dialog, the dialog shows the same message.
  await page.reload();
  await generate(page);
  await save(page);
  await page.route(API, answers(503, "unavailable", 5));
  await button(page, "Revoke").click();
  await button(page, "Revoke key").click();
  await page.locator("#revoke-dialog [data-message]", { hasText: /Try again in \d s/ }).waitFor();
}
