// What the page tells people: a notice that everybody sees, and announcements for screen readers.

import { duration } from "./words.js";

const byId = (id) => document.getElementById(id);

/** Announces a text to screen readers. While a dialog is open, they hear only what is in it. */
export function announce(text) {
  const region = document.querySelector("dialog[open] [role=status]") ?? byId("announcement");
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50); // else the same text twice is announced once
}

let countdown;

/**
 * Shows a notice at the bottom, above the page, so that nothing moves. `until` is the time from which
 * trying again can help.
 */
export function showNotice(text, { until = null, kind = "error" } = {}) {
  clearInterval(countdown);
  byId("notice-text").textContent = text;
  byId("notice").dataset.kind = kind;
  byId("notice").hidden = false;
  const tick = () => {
    const left = until - Date.now();
    byId("notice-wait").textContent = left > 0 ? `Try again in ${duration(left)}.` : "You can try again now.";
    if (left <= 0) clearInterval(countdown);
  };
  byId("notice-wait").textContent = "";
  if (until) {
    countdown = setInterval(tick, 1000);
    tick();
  }
  announce(`${text} ${byId("notice-wait").textContent}`);
}

export function hideNotice() {
  clearInterval(countdown);
  byId("notice").hidden = true;
}

byId("notice-close").addEventListener("click", () => {
  hideNotice();
  byId("key-title").focus();
});
