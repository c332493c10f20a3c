import assert from "node:assert/strict";
import { generate, isNowhere, revoke, save, state } from "../steps.mjs";

export default async function (browser) {
  const page = await browser.open();
  const part = (name) => page.getByRole("region", { name });
  const revoked = page.locator("#revoked");
  await page.getByRole("button", { name: "Generate API key", exact: true }).waitFor();
  await revoked.waitFor({ state: "hidden" }); // a new account

  await generate(page);
  await save(page);
  await revoke(page);
  await part("Your last key is revoked").waitFor();
  assert.equal(await page.locator("#leak-advice").isVisible(), false);
  await browser.look(page, "1-by-you");

  const key = await generate(page);
  await revoked.waitFor({ state: "hidden" });
  await save(page);
  await state(page, "Ready");
  const report = { method: "POST", body: JSON.stringify({ keys: [key], url: "https://example.com/leak" }) };
  const answer = await fetch(new URL("/api/v1/partners/leaked-keys", page.url()), report);
  assert.equal(answer.status, 202);
  await page.reload();
  await part("Your last key has leaked").waitFor();
  await page.getByText("delete the endpoints that are not yours").waitFor();
  assert.match(await page.locator("#revoked-at").getAttribute("datetime"), /^\d{4}-\d\d-\d\dT/);
  await browser.look(page, "2-leaked");
  await isNowhere(page, key);

  // The next key hides it.
  await generate(page);
  await revoked.waitFor({ state: "hidden" });
}
