// The page "API & webhooks": what is pressed, and what comes of it.
//
// The key itself is in `held` from its making until the page is left, so that the portal opens without
// asking for it; in the page only while its dialog is open; and nowhere else, ever.

import { Failure, createKey, openPortal, revokeKey, serverNow, showKey } from "./api.js";
import { forgetSecrets, notify, offerLink, open, say, showKeyOnce, tell, unnotify, whileBusy } from "./dialogs.js";
import { LAST_MS, Poll } from "./poll.js";
import { show, showUnknown } from "./view.js";
import { duration, explain } from "./words.js";

const at = (id) => document.getElementById(id);
const on = (id, event, handler) => at(id).addEventListener(event, handler);

let held = null; // the key in the clear
let shown = null; // what the api last said of it
let changes = 0; // a look that began before the latest change tells old news
let troubled = null; // the kind of failure of the last look, if that is what the notice tells of
let waitUntil = 0; // before then the api has asked to be left alone

const poll = new Poll(look);
poll.now();

async function look() {
  const began = changes;
  try {
    const now = await showKey();
    if (began !== changes) return "later";
    learn(now);
  } catch (failure) {
    if (began !== changes) return "later";
    return lookFailed(failure);
  }
  if (troubled) unnotify();
  troubled = null;
  return nextLook();
}

/** Takes in what the api says of the key. */
function learn(now) {
  shown = now.has_key ? now : null;
  if (!held?.startsWith(shown?.prefix ?? "no key")) held = null;
  show(now);
}

/** Nothing changes by itself but the setting up: soon after each attempt there is news. */
function nextLook() {
  if (!shown || shown.has_webhook || shown.webhook?.state === "needs_attention") return "never";
  const due = Date.parse(shown.webhook?.next_attempt_at ?? "") - serverNow();
  return due > 0 ? Math.min(due + 500, LAST_MS) : "later";
}

const isLoaded = () => document.querySelector("[data-view=key][data-shown], [data-view=none][data-shown]");

function lookFailed(failure) {
  if (failure.kind === "signed-out") return signedOut();
  const again = failure.retryAfter === null ? "later" : failure.retryAfter * 1000;
  if (isLoaded()) {
    if (troubled !== failure.kind) notify(explain(failure), { kind: "quiet" });
    troubled = failure.kind;
  } else {
    at("problem").textContent = explain(failure);
    showUnknown("problem");
    say(explain(failure));
  }
  return again;
}

function signedOut() {
  held = null;
  shown = null;
  unnotify();
  // A key that is not saved yet stays: logging in again does not bring it back.
  for (const id of ["revoke-dialog", "portal-dialog"]) at(id).close();
  showUnknown("signed-out");
  say(explain(new Failure("signed-out")));
  return "never";
}

/** What is done about a failure of something that was pressed. `dialog`: where to say it. */
function failed(failure, dialog) {
  if (!(failure instanceof Failure)) throw failure;
  if (failure.kind === "signed-out") {
    signedOut();
    return at("key-title").focus();
  }
  const until = failure.retryAfter ? Date.now() + failure.retryAfter * 1000 : null;
  if (failure.status === 429 || failure.status === 503) waitUntil = until ?? 0;
  const wait = until ? ` Try again in ${duration(until - Date.now())}.` : "";
  if (dialog) tell(dialog, explain(failure) + wait);
  else notify(explain(failure), { until });
}

/** Whether the api may be asked again; tells if not. */
function mayAsk(dialog) {
  const left = waitUntil - Date.now();
  if (left <= 0) return true;
  const text = `The service asked for a pause. Try again in ${duration(left)}.`;
  if (dialog) tell(dialog, text);
  else say(text);
  return false;
}

on("generate", "click", () => mayAsk() && whileBusy(at("generate"), generate));
async function generate() {
  const before = serverNow();
  unnotify();
  addEventListener("beforeunload", warn);
  try {
    changes += 1;
    const made = await createKey();
    changes += 1;
    held = made.api_key;
    poll.now();
    await showKeyOnce(made.api_key);
    at("key-title").focus();
  } catch (failure) {
    changes += 1;
    failed(failure);
    if (failure.kind !== "signed-out") await poll.now();
    mayBeLost(failure, before);
    if (shown) at("key-title").focus(); // the button is gone
  } finally {
    removeEventListener("beforeunload", warn);
  }
}

/** The answer was lost, but the key may have been made: nobody will ever see it. */
function mayBeLost(failure, before) {
  const isNew = shown && Date.parse(shown.created_at) > before - 5000;
  if (failure.kind === "status" || !isNew) return;
  troubled = null;
  notify(`The connection broke before your new key arrived, and it cannot be shown again. Revoke ${shown.prefix} and generate another.`);
}

/** Asks before the page is left: the words are the browser's own. */
function warn(event) {
  event.preventDefault();
  event.returnValue = true; // for browsers that know only this
}

on("revoke", "click", async () => {
  at("revoke-prefix").textContent = shown.prefix;
  at("revoke-dialog").dataset.prefix = shown.prefix;
  await open(at("revoke-dialog"));
});
on("revoke-now", "click", () => {
  const dialog = at("revoke-dialog");
  if (mayAsk(dialog)) whileBusy(at("revoke-now"), () => revoke(dialog));
});
async function revoke(dialog) {
  tell(dialog, "");
  try {
    // Another tab may have put a new key in its place, of which this dialog did not speak.
    const now = await showKey();
    const isSame = !now.has_key || now.prefix === dialog.dataset.prefix;
    changes += 1;
    if (isSame) {
      await revokeKey();
      changes += 1;
    }
    learn(isSame ? { has_key: false } : now);
    dialog.close();
    if (isSame) notify(`${dialog.dataset.prefix} is revoked.`, { kind: "good" });
    else notify(`${dialog.dataset.prefix} was revoked already. The key shown now is a newer one, and was left alone.`);
    at("key-title").focus();
    poll.now();
  } catch (failure) {
    failed(failure, dialog);
  }
}

on("portal", "click", async () => {
  if (!shown?.has_webhook) return say(at("webhook-detail").textContent);
  if (held) {
    if (mayAsk()) await whileBusy(at("portal"), () => enterPortal(held));
  } else {
    await open(at("portal-dialog"));
    at("portal-key").value = "";
  }
});
on("portal-form", "submit", (event) => {
  event.preventDefault();
  const dialog = at("portal-dialog");
  const key = at("portal-key").value.trim();
  const wrong = whatIsWrongWith(key);
  at("portal-key").toggleAttribute("aria-invalid", Boolean(wrong));
  if (wrong) {
    tell(dialog, wrong);
    at("portal-key").focus();
  } else if (mayAsk(dialog)) {
    tell(dialog, "");
    whileBusy(at("portal-now"), () => enterPortal(key, dialog));
  }
});

/** Says it here, so that what is not the key is not sent anywhere. */
function whatIsWrongWith(key) {
  if (!key) return "Paste your API key.";
  if (!/^pk_live_[0-9a-f]{64}$/.test(key)) {
    return "This is not a whole API key: it is pk_live_ and 64 characters.";
  }
  if (shown && !key.startsWith(shown.prefix)) {
    return `This is another key. The active one begins with ${shown.prefix}.`;
  }
  return "";
}

async function enterPortal(key, dialog) {
  let url;
  try {
    ({ url } = await openPortal(key));
  } catch (failure) {
    if (failure.status !== 401) return failed(failure, dialog);
    held = null;
    await poll.now();
    dialog?.close();
    return notify("This key is no longer active: it was revoked in another tab or on another device.");
  }
  dialog?.close();
  // Not with `noopener`, which would hide whether it opened. The new tab gets no way back to us.
  const tab = window.open("", "_blank");
  if (tab) {
    tab.opener = null;
    tab.location.replace(url);
  } else {
    await offerLink(url);
  }
  poll.now(); // `last used` is new
}

on("again", "click", () => whileBusy(at("again"), () => poll.now()));
on("reload", "click", () => location.reload());
addEventListener("offline", () => isLoaded() && lookFailed(new Failure("offline")));
// The page may be kept for the back button, as it is: without the key, then.
addEventListener("pagehide", () => {
  held = null;
  forgetSecrets();
});
addEventListener("pageshow", (event) => event.persisted && poll.now());

const login = document.querySelector("meta[name=login-url]").content;
if (login) {
  at("log-in").href = login;
  at("reload").remove();
} else {
  at("log-in").remove();
  at("reload").className = "primary";
  at("log-in-advice").textContent = "Log in again as you usually do, then reload this page. Nothing about your key has changed.";
}
