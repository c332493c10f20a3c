// The dialogs. What is secret is in the page only while its dialog is open.

import { duration } from "./words.js";

const at = (id) => document.getElementById(id);

/** Tells a screen reader: the region of the open dialog, as the page behind it is silent. */
export function say(text) {
  const region = document.querySelector("dialog[open] [role=status]") ?? at("said");
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50); // the same words again are news only so
}

/** Shows a message in a dialog, and says it. */
export function tell(dialog, text, kind = "error") {
  const message = dialog.querySelector("[data-message]");
  if (!message) return;
  message.textContent = text;
  message.dataset.kind = kind;
  if (text) say(text);
}

/** A button that works is not pressed twice, and keeps the focus that `disabled` would take. */
export async function whileBusy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  button.dataset.busy = "";
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
    delete button.dataset.busy;
  }
}

/** Opens a dialog; resolves when it is closed. The browser puts the focus in and back. */
export function open(dialog) {
  tell(dialog, "");
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
}

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

/** Shows the key until it is saved; then it is out of the page again. */
export async function showKeyOnce(key) {
  const [dialog, text, saved, done] = ["key-dialog", "key", "saved", "done"].map(at);
  text.textContent = key;
  saved.checked = false;
  done.setAttribute("aria-disabled", "true");
  // Escape and the phone's back gesture must not lose the key. Where `closedby` is not known,
  // a browser closes at the second Escape whatever the page says: then it opens again.
  do await open(dialog);
  while (!saved.checked && text.textContent);
  text.textContent = "";
  at("copy").textContent = "Copy key";
}

/** Takes what is secret out of the page at once, as the page is left. */
export function forgetSecrets() {
  at("key").textContent = "";
  at("portal-key").value = "";
  at("link").removeAttribute("href");
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

at("key-dialog").addEventListener("cancel", (event) => event.preventDefault());
at("key-dialog").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.preventDefault();
  remind();
});
at("saved").addEventListener("change", () => {
  at("done").setAttribute("aria-disabled", String(!at("saved").checked));
  tell(at("key-dialog"), "");
});
at("done").addEventListener("click", () => {
  if (at("saved").checked) at("key-dialog").close();
  else remind();
});

function remind() {
  tell(at("key-dialog"), "Save the key first, then tick the box: it cannot be shown again.");
  at("saved").focus();
}

at("copy").addEventListener("click", async () => {
  const dialog = at("key-dialog");
  if (await copied(at("key"))) {
    at("copy").textContent = "Copied";
    tell(dialog, "The key is in your clipboard.", "good");
  } else {
    tell(dialog, "Your browser does not let this page copy. The key is selected: copy it by hand.");
  }
});

/** Without HTTPS, or in a frame, the clipboard may be out of reach; then the old way. */
async function copied(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

/** Offers the link where the browser would not open a tab by itself. */
export async function offerLink(url) {
  const link = at("link");
  link.href = url;
  await open(at("link-dialog"));
  link.removeAttribute("href");
}
at("link").addEventListener("click", () => setTimeout(() => at("link-dialog").close()));

let noticeTimer;
/** Shows a notice below the page, over it, so that nothing moves. `until` is when trying again helps. */
export function notify(text, { until = null, kind = "error", afterwards = "You can try again now." } = {}) {
  clearInterval(noticeTimer);
  at("notice-text").textContent = text;
  at("notice").dataset.kind = kind;
  at("notice").hidden = false;
  const tick = () => {
    const left = until - Date.now();
    at("notice-wait").textContent = left > 0 ? `Try again in ${duration(left)}.` : afterwards;
    if (left <= 0) clearInterval(noticeTimer);
  };
  at("notice-wait").textContent = "";
  if (until) {
    noticeTimer = setInterval(tick, 1000);
    tick();
  }
  say(`${text} ${at("notice-wait").textContent}`);
}
export function unnotify() {
  clearInterval(noticeTimer);
  at("notice").hidden = true;
}
at("notice-close").addEventListener("click", () => {
  unnotify();
  at("key-title").focus();
});
