// A real Chromium, and the checks that the page must pass in each of its states.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CHROMIUMS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const ARGS = [
  "--no-sandbox", // tests run as root in containers
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const DESKTOP = { width: 1024, height: 900 };
const TIMEOUT_MS = 20_000;

export class Browser {
  log = [];
  #pages = [];

  static async launch(name, config) {
    const executablePath = CHROMIUMS.find(existsSync);
    assert(executablePath, "Chromium is not installed: run `make test`");
    const browser = new Browser();
    Object.assign(browser, { name, config });
    mkdirSync(config.artifacts, { recursive: true });
    browser.chromium = await chromium.launch({ executablePath, args: ARGS });
    return browser;
  }

  /** Creates a profile, signed in with this session. With null, it has no session. */
  async context(session = this.config.session, options = {}) {
    // Without motion: an animation that never ends would keep a processor busy.
    const context = await this.chromium.newContext({
      viewport: DESKTOP,
      locale: "en-GB",
      reducedMotion: "reduce",
      ...options,
    });
    context.setDefaultTimeout(TIMEOUT_MS);
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: this.config.base });
    if (session) await this.signIn(context, session);
    return context;
  }

  signIn(context, session) {
    const cookie = { name: "session", value: session, url: this.config.base, httpOnly: true, sameSite: "Lax" };
    return context.addCookies([cookie]);
  }

  /** Opens the dashboard in a new tab. */
  async open(context) {
    const page = await this.tab(context ?? (await this.context()));
    await page.goto(`${this.config.base}/dashboard`);
    await page.locator("#key-views:not([aria-busy])").waitFor();
    return page;
  }

  /** Opens a new tab and records its requests and errors. */
  async tab(context) {
    const page = await context.newPage();
    this.#pages.push(page);
    page.sent = [];
    page.problems = [];
    page.on("request", (request) => {
      page.sent.push(`${request.method()} ${new URL(request.url()).pathname}`);
      const origin = new URL(request.url()).origin;
      if (origin !== this.config.base) page.problems.push(`asked ${origin}`);
    });
    page.on("console", (message) => {
      this.log.push(`console ${message.type()}: ${message.text()}`);
      const isResponse = message.text().startsWith("Failed to load resource"); // a case asked for this error
      if (message.type() === "error" && !isResponse) page.problems.push(message.text());
    });
    page.on("pageerror", (error) => page.problems.push(String(error.stack)));
    await page.addInitScript(() => {
      window.addEventListener("securitypolicyviolation", (event) => {
        console.error(`violates ${event.violatedDirective}: ${event.blockedURI}`);
      });
    });
    return page;
  }

  /** Checks that no page loaded anything from elsewhere, violated its policy, or threw. */
  isClean() {
    assert.deepEqual(this.#pages.flatMap((page) => page.problems), []);
  }

  /** Checks a state in light and dark: accessible, and no wider than a phone. Takes pictures. */
  async look(page, state) {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await this.picture(page, `${state}-${colorScheme}`);
      assert.deepEqual(await violations(page), [], `${state}, ${colorScheme}`);
    }
    await page.setViewportSize({ width: 320, height: 640 });
    await this.picture(page, `${state}-phone`);
    const wide = await page.evaluate(() => {
      const scrolls = (element) => element.scrollWidth > element.clientWidth;
      const boxes = [document.documentElement, ...document.querySelectorAll("dialog[open]")];
      return boxes.filter(scrolls).map((element) => `${element.nodeName} ${element.scrollWidth}`);
    });
    assert.deepEqual(wide, [], `${state}: scrolls horizontally at 320 px`);
    await page.setViewportSize(DESKTOP);
    await page.emulateMedia({ colorScheme: "light" });
  }

  picture(page, state) {
    return page.screenshot({ path: join(this.config.artifacts, `${this.name}-${state}.png`) });
  }

  async keepEvidence() {
    for (const [index, page] of this.#pages.entries()) {
      this.log.push(...page.problems);
      if (!page.isClosed()) await this.picture(page, `FAILED-${index}`).catch(() => {});
    }
  }

  close() {
    return this.chromium.close();
  }

  /** Sets the faults of the Svix simulator, as its documentation describes. No rules remove all faults. */
  async faults(rules) {
    const url = `${this.config.simulator}/_simulator/faults`;
    const answer = await fetch(url, { method: "PUT", body: JSON.stringify(rules) });
    assert.equal(answer.status, 204);
  }

  /** Calls an operation, as another tab or device would. */
  async call(method, session, path = "api-key") {
    const headers = { authorization: `Bearer ${session}` };
    return fetch(`${this.config.base}/api/v1/partners/${path}`, { method, headers });
  }
}

async function violations(page) {
  await page.evaluate(AXE);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await page.evaluate((values) => window.axe.run({ runOnly: { type: "tag", values } }), tags);
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => `${n.html} ${n.failureSummary}`).join("; ")}`);
}
