// Runs one case in a Chromium of its own:  node run.mjs CASE
// What it needs to know is JSON in DASHBOARD_TEST; tests/src/browser.rs writes it.

import { Browser } from "./browser.mjs";

const [name] = process.argv.slice(2);
const { default: run } = await import(`./cases/${name}.mjs`);
const browser = await Browser.launch(name, JSON.parse(process.env.DASHBOARD_TEST));
try {
  await run(browser);
  browser.isClean();
} catch (error) {
  await browser.keepEvidence();
  console.error(error);
  console.error(browser.log.join("\n"));
  process.exitCode = 1;
} finally {
  await browser.close();
}
