// The page "API & webhooks": the key's card, and what the buttons do.
//
// The key itself is in `heldKey` from its creation until the page is left, the session ends or the
// account has another key, so that the portal opens without asking for it. It is in the page only
// while its dialog is open, and nowhere else.

import { ApiCallError, createKey, getKey, revokeKey, serverNow } from "./api.js";
import { closeAllDialogs, closeDialog, closeSignal, openDialog, showMessage, whileBusy } from "./dialogs.js";
import { showNewKey } from "./key-dialog.js";
import { announce, hideNotice, showNotice } from "./notices.js";
import { LONGEST_DELAY_MS, Poll } from "./poll.js";
import { connectPortal } from "./portal.js";
import { connectRotation } from "./rotation.js";
import { showKey, showUnknown } from "./view.js";
import { duration, explain } from "./words.js";

const byId = (id) => document.getElementById(id);
const on = (id, event, handler) => byId(id).addEventListener(event, handler);

let heldKey = null; // the key itself
let shownKey = null; // what the API last said of it
let changes = 0; // counts changes of the key: an answer from before the latest change is outdated
let noticedError = null; // the kind of the last refresh's error, if the notice shows that error
let callsAllowedAt = 0; // the API has asked for a pause until then
let pauseIsLimit = false; // because of too many requests, which holds up no revocation

const poll = new Poll(refresh);
poll.now();
connectPortal({
  shownKey: () => shownKey,
  heldKey: () => heldKey,
  forgetHeldKey: () => (heldKey = null),
  mayCall,
  showError,
  poll,
});

connectRotation({
  shownKey: () => shownKey,
  holdKey: (key) => (heldKey = key),
  takeIn,
  change: () => (changes += 1),
  mayCall,
  showError,
  warnWhile,
  poll,
});

async function refresh(isLatest) {
  const changesBefore = changes;
  const isOutdated = () => !isLatest() || changes !== changesBefore;
  try {
    const answer = await getKey();
    if (isOutdated()) return "later";
    takeIn(answer);
  } catch (error) {
    if (isOutdated()) return "later";
    return refreshFailed(error);
  }
  if (noticedError) hideNotice();
  noticedError = null;
  return nextRefresh();
}

/** Takes in what the API says of the key. */
function takeIn(answer) {
  shownKey = answer.has_key ? answer : null;
  if (!heldKey?.startsWith(shownKey?.prefix ?? "no key")) heldKey = null;
  showKey(answer);
}

/**
 * Returns when to refresh again. Only webhooks that are being set up change on their own, and the previous
 * key of a rotation.
 */
function nextRefresh() {
  if (shownKey?.rotation) return "later";
  if (!shownKey || shownKey.has_webhook || shownKey.webhook?.state === "needs_attention") return "never";
  const due = Date.parse(shownKey.webhook?.next_attempt_at ?? "") - serverNow();
  return due > 0 ? Math.min(due + 500, LONGEST_DELAY_MS) : "later";
}

const isLoaded = () => document.querySelector("[data-view=key][data-shown], [data-view=none][data-shown]");

function refreshFailed(error) {
  if (error.kind === "signed-out") return signedOut();
  if (isLoaded()) {
    if (noticedError !== error.kind) showNotice(explain(error), { kind: "quiet" });
    noticedError = error.kind;
  } else {
    byId("problem").textContent = explain(error);
    showUnknown("problem");
    announce(explain(error));
  }
  return error.retryAfter === null ? "later" : error.retryAfter * 1000;
}

function signedOut() {
  heldKey = null;
  shownKey = null;
  hideNotice();
  // A new key that is not saved yet stays: it cannot be shown again after the login.
  for (const dialog of document.querySelectorAll("dialog[open]:not(#key-dialog)")) {
    closeDialog(dialog);
    byId("key-title").focus(); // the button that opened the dialog is no longer there
  }
  showUnknown("signed-out");
  announce(explain(new ApiCallError("signed-out")));
  return "never";
}

/** Shows the error of an action: in the dialog where it was started, if that is still open, else in the notice. */
function showError(error, dialog) {
  if (!(error instanceof ApiCallError)) throw error;
  if (error.kind === "canceled") return;
  if (error.kind === "signed-out") {
    signedOut();
    return byId("key-title").focus();
  }
  const until = error.retryAfter ? Date.now() + error.retryAfter * 1000 : null;
  if (error.status === 429 || error.status === 503) {
    callsAllowedAt = until ?? 0;
    pauseIsLimit = error.status === 429;
  }
  const wait = until ? ` Try again in ${duration(until - Date.now())}.` : "";
  if (dialog?.open) showMessage(dialog, explain(error) + wait);
  else showNotice(explain(error), { until });
}

/** Returns whether the API may be called, and says so if it may not. */
function mayCall(dialog, isRevocation = false) {
  const left = callsAllowedAt - Date.now();
  if (left <= 0 || (isRevocation && pauseIsLimit)) return true;
  const text = `The service is busy. Try again in ${duration(left)}.`;
  if (dialog) showMessage(dialog, text);
  else announce(text);
  return false;
}

on("generate", "click", () => mayCall() && whileBusy(byId("generate"), () => warnWhile(generate)));
async function generate() {
  const startedAt = serverNow();
  hideNotice();
  try {
    changes += 1;
    const created = await createKey();
    changes += 1;
    heldKey = created.api_key;
    poll.now();
    await showNewKey(created.api_key);
    byId("key-title").focus();
  } catch (error) {
    changes += 1;
    showError(error);
    if (error.kind !== "signed-out") await poll.now();
    warnOfLostKey(error, startedAt);
    if (shownKey) byId("key-title").focus(); // the button is no longer there
  }
}

/** Tells the user that a key was created whose answer was lost. Nobody will ever see that key. */
function warnOfLostKey(error, startedAt) {
  const isNew = shownKey && Date.parse(shownKey.created_at) > startedAt - 5000;
  if (error.kind === "status" || !isNew) return;
  noticedError = null;
  showNotice(`The connection broke before your new key arrived, and the key cannot be shown again. Revoke ${shownKey.prefix} and generate another key.`);
}

/** Does the work, and meanwhile asks the user before the page is left. */
async function warnWhile(work) {
  addEventListener("beforeunload", warnBeforeLeaving);
  try {
    await work();
  } finally {
    removeEventListener("beforeunload", warnBeforeLeaving);
  }
}

/** Asks the user before the page is left. The browser chooses the words. */
function warnBeforeLeaving(event) {
  event.preventDefault();
  event.returnValue = true; // older browsers look only at this
}

on("revoke", "click", async () => {
  byId("revoke-prefix").textContent = shownKey.prefix;
  byId("revoke-dialog").dataset.prefix = shownKey.prefix;
  await openDialog(byId("revoke-dialog"));
});
on("revoke-now", "click", () => {
  const dialog = byId("revoke-dialog");
  if (mayCall(dialog, true)) whileBusy(byId("revoke-now"), () => revoke(dialog));
});
async function revoke(dialog) {
  const closed = closeSignal(dialog);
  showMessage(dialog, "");
  try {
    // Another tab may have created a newer key, which the user has not agreed to revoke.
    const answer = await getKey();
    if (closed.aborted) return; // the user has decided to keep the key
    const isSameKey = !answer.has_key || answer.prefix === dialog.dataset.prefix;
    changes += 1;
    if (isSameKey) {
      await revokeKey();
      changes += 1;
    }
    takeIn(isSameKey ? { has_key: false } : answer);
    closeDialog(dialog);
    if (isSameKey) showNotice(`${dialog.dataset.prefix} is revoked.`, { kind: "good" });
    else showNotice(`${dialog.dataset.prefix} was already revoked. The key shown now is a newer one and was not changed.`);
    byId("key-title").focus();
    poll.now();
  } catch (error) {
    showError(error, dialog);
  }
}

on("again", "click", () => whileBusy(byId("again"), () => poll.now()));
on("reload", "click", () => location.reload());
addEventListener("offline", () => isLoaded() && refreshFailed(new ApiCallError("offline")));
// The browser may keep the page for its back button. It must not keep the key.
addEventListener("pagehide", () => {
  heldKey = null;
  closeAllDialogs();
});
addEventListener("pageshow", (event) => event.persisted && poll.now());

const loginUrl = document.querySelector("meta[name=login-url]").content;
if (loginUrl) {
  byId("log-in").href = loginUrl;
  byId("reload").remove();
} else {
  byId("log-in").remove();
  byId("reload").className = "primary";
  byId("log-in-advice").textContent = "Log in again as you usually do, then reload this page. Nothing about your key has changed.";
}
