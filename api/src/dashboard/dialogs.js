// Opening and closing the dialogs. A secret is in the page only while its dialog is open.

import { announce } from "./notices.js";

const byId = (id) => document.getElementById(id);

/** Removes the secret of a dialog from the page. */
const FORGET = {
  "key-dialog": () => (byId("key").textContent = ""),
  "portal-dialog": () => (byId("portal-key").value = ""),
  "link-dialog": () => byId("link").removeAttribute("href"),
};

/** An AbortController for each open dialog, which is aborted when the dialog closes. */
const openings = new Map();

/** Opens a dialog. Resolves when `closeDialog` closes it. */
export function openDialog(dialog) {
  showMessage(dialog, "");
  dialog.showModal();
  const opening = new AbortController();
  openings.set(dialog, opening);
  return new Promise((resolve) => opening.signal.addEventListener("abort", resolve));
}

/** Returns a signal that is aborted when this open dialog closes. */
export function closeSignal(dialog) {
  return openings.get(dialog).signal;
}

/**
 * Closes a dialog, whether it is open or not. Its secret is removed before anything else happens: a
 * browser may delay the `close` event for as long as another tab is in front.
 */
export function closeDialog(dialog) {
  FORGET[dialog.id]?.();
  if (dialog.open) dialog.close();
  openings.get(dialog)?.abort();
  openings.delete(dialog);
}

/** Removes the secret of a dialog, which stays open. */
export function forgetSecret(dialog) {
  FORGET[dialog.id]();
}

/** Removes every secret from the page and closes all dialogs, because the page is being left. */
export function closeAllDialogs() {
  for (const dialog of document.querySelectorAll("dialog")) closeDialog(dialog);
}

// The key dialog has its own rules for Escape: see key-dialog.js.
for (const dialog of document.querySelectorAll("dialog:not(#key-dialog)")) {
  // Escape, or the back gesture of a phone.
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    closeDialog(dialog);
  });
  // A browser may close a dialog without asking, on a second Escape for instance.
  dialog.addEventListener("beforetoggle", (event) => event.newState === "closed" && FORGET[dialog.id]?.());
  dialog.addEventListener("close", () => dialog.open || closeDialog(dialog));
}
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => closeDialog(button.closest("dialog")));
}

/** Shows a message in a dialog, and announces it. */
export function showMessage(dialog, text, kind = "error") {
  const message = dialog.querySelector("[data-message]");
  if (!message) return;
  message.textContent = text;
  message.dataset.kind = kind;
  if (text) announce(text);
}

/** Runs `work` unless the button is busy already. `disabled` would take the focus from the button. */
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
