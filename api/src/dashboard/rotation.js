// Replacing the key without an interruption: start, watch the previous key, then finish or cancel.

import { cancelRotation, finishRotation, getKey, serverNow, startRotation } from "./api.js";
import { closeDialog, closeSignal, openDialog, showMessage, whileBusy } from "./dialogs.js";
import { showNewKey } from "./key-dialog.js";
import { hideNotice, showNotice } from "./notices.js";
import { setLastUse, setTime } from "./view.js";

const byId = (id) => document.getElementById(id);
const on = (id, handler) => byId(id).addEventListener("click", handler);

/**
 * Connects the buttons. `page` has `shownKey()`, `holdKey(key)`, `takeIn(answer)`, `change()`, which says
 * that the key is being changed, `mayCall(dialog, isRevocation)`, `showError(error, dialog)`,
 * `warnWhile(work)` and `poll`.
 */
export function connectRotation(page) {
  on("rotate", () => open("rotate", page.shownKey().prefix));
  on("rotate-now", () => {
    const dialog = byId("rotate-dialog");
    if (page.mayCall(dialog)) whileBusy(byId("rotate-now"), () => page.warnWhile(() => start(page, dialog)));
  });

  on("finish", () => {
    const { previous_prefix: prefix, previous_last_used_at: used } = page.shownKey().rotation;
    setLastUse(byId("finish-used"), used);
    open("finish", prefix);
  });
  on("finish-now", () => confirm(page, "finish", finishRotation, (prefix) => `${prefix} has ended.`));

  on("cancel", () => {
    byId("cancel-new").textContent = page.shownKey().prefix;
    open("cancel", page.shownKey().rotation.previous_prefix);
  });
  on("cancel-now", () => confirm(page, "cancel", cancelRotation, (prefix) => `${prefix} is your key again. The new key is revoked.`));
}

/** Opens a dialog about the key with this prefix. */
function open(name, prefix) {
  const dialog = byId(`${name}-dialog`);
  byId(`${name}-prefix`).textContent = prefix;
  dialog.dataset.prefix = prefix;
  openDialog(dialog);
}

async function start(page, dialog) {
  const startedAt = serverNow();
  hideNotice();
  showMessage(dialog, "");
  try {
    page.change();
    const started = await startRotation();
    page.change();
    page.holdKey(started.api_key);
    closeDialog(dialog);
    page.poll.now();
    await showNewKey(started.api_key);
    byId("key-title").focus();
  } catch (error) {
    page.change();
    page.showError(error, dialog);
    if (error.kind !== "signed-out") await page.poll.now();
    const key = page.shownKey();
    if (error.kind === "status" || !key?.rotation || Date.parse(key.created_at) < startedAt - 5000) return;
    closeDialog(dialog);
    showNotice("The connection broke before your new key arrived, and the key cannot be shown again. Go back to the previous key, then replace it again.");
  }
}

/** Ends the rotation in the way that the user has confirmed, unless it is not that rotation any more. */
function confirm(page, name, call, done) {
  const dialog = byId(`${name}-dialog`);
  if (!page.mayCall(dialog, true)) return;
  whileBusy(byId(`${name}-now`), async () => {
    const closed = closeSignal(dialog);
    const { prefix } = dialog.dataset;
    showMessage(dialog, "");
    try {
      const before = await getKey();
      if (closed.aborted) return; // the user has changed their mind
      const isSame = before.rotation?.previous_prefix === prefix;
      page.change();
      if (isSame) await call();
      page.change();
      page.takeIn(isSame ? await getKey() : before);
      closeDialog(dialog);
      if (isSame) showNotice(done(prefix), { kind: "good" });
      else showNotice(`The rotation of ${prefix} is already over. Nothing was changed.`);
      byId("key-title").focus();
      page.poll.now();
    } catch (error) {
      page.showError(error, dialog);
    }
  });
}

/** Shows the rotation in the key's card, if one is under way. */
export function showRotation(rotation) {
  byId("rotation").hidden = !rotation;
  byId("rotate").hidden = Boolean(rotation);
  byId("revoke-both").hidden = !rotation;
  if (!rotation) return;
  byId("previous-prefix").textContent = rotation.previous_prefix;
  setTime(byId("previous-end"), rotation.previous_expires_at);
  setLastUse(byId("previous-used"), rotation.previous_last_used_at);
}
