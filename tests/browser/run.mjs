// Runs one case in its own Chromium:  node run.mjs CASE
// tests/src/browser.rs writes what the case needs as JSON into DASHBOARD_TEST.

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
