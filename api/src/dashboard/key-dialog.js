// The dialog that shows a new key, the only time that it can be shown.

import { closeDialog, openDialog, showMessage } from "./dialogs.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("key-dialog");
const key = byId("key");
const isSaved = byId("saved");
const copy = byId("copy");
const done = byId("done");

/** Shows the key until the user has saved it. */
export function showNewKey(text) {
  copy.textContent = "Copy key";
  isSaved.checked = false;
  done.setAttribute("aria-disabled", "true");
  const closed = openDialog(dialog);
  key.textContent = text; // now, because a key in a dialog that did not open would stay in the page
  return closed;
}

// Escape must not lose the key.
dialog.addEventListener("cancel", (event) => event.preventDefault());
dialog.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.preventDefault();
  remind();
});
// A browser that does not know `closedby` closes the dialog at the second Escape. It opens again, unless
// `closeDialog` has removed the key.
dialog.addEventListener("close", () => {
  if (key.textContent && !dialog.open) dialog.showModal();
});

isSaved.addEventListener("change", () => {
  done.setAttribute("aria-disabled", String(!isSaved.checked));
  showMessage(dialog, "");
});
done.addEventListener("click", () => (isSaved.checked ? closeDialog(dialog) : remind()));

function remind() {
  showMessage(dialog, "Save the key first, then tick the box. The key cannot be shown again.");
  isSaved.focus();
}

copy.addEventListener("click", async () => {
  if (await copyText(key)) {
    copy.textContent = "Copied";
    showMessage(dialog, "The key is in your clipboard.", "good");
  } else {
    showMessage(dialog, "Your browser does not let this page copy. The key is selected: copy it yourself.");
  }
});

/** Copies the text of an element. Without HTTPS, or in a frame, only the old way may work. */
async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
