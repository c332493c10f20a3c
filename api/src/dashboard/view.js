// What the cards show.

import { serverNow } from "./api.js";
import { say } from "./dialogs.js";
import { exactMoment, moment, webhookWords } from "./words.js";

const at = (id) => document.getElementById(id);
let shownKey = null;
let ticking;

/** Shows one view of the key's card. */
export function view(name) {
  const views = at("key-views");
  views.removeAttribute("aria-busy");
  for (const one of views.children) one.toggleAttribute("data-shown", one.dataset.view === name);
}

/** Shows what the api knows of the key. */
export function show(shown) {
  shownKey = shown.has_key ? shown : null;
  if (shownKey) {
    at("prefix").textContent = shown.prefix;
    time(at("created"), shown.created_at);
    used(shown.last_used_at);
  }
  view(shownKey ? "key" : "none");
  webhooks();
}

/** Shows that nothing is known: signed out, or the first look failed. */
export function showUnknown(name) {
  shownKey = null;
  view(name);
  webhooks("", "");
}

function used(iso) {
  if (!iso) return at("used").replaceChildren("Never");
  const element = document.createElement("time");
  time(element, iso);
  at("used").replaceChildren(element);
}

function time(element, iso) {
  element.dateTime = iso;
  element.title = exactMoment(iso);
  element.textContent = moment(iso);
}

function webhooks(none = "Waiting for a key", why = "They are set up by themselves as soon as you have a key.") {
  const [state, label, detail] = shownKey ? webhookWords(shownKey, serverNow()) : ["none", none, why];
  const badge = at("webhook-state");
  // Written only if new: a selection, or a screen reader at work, stays.
  if (badge.textContent !== label) {
    const isNews = badge.dataset.state !== "none" && state !== "none";
    badge.textContent = label;
    if (isNews) say(`Webhooks: ${label}. ${detail}`);
  }
  badge.dataset.state = state;
  if (at("webhook-detail").textContent !== detail) at("webhook-detail").textContent = detail;
  const portal = at("portal");
  if (!("busy" in portal.dataset)) portal.setAttribute("aria-disabled", String(state !== "ready"));

  clearTimeout(ticking);
  const counts = state === "setting_up" && shownKey.webhook?.next_attempt_at;
  if (counts && !document.hidden) ticking = setTimeout(webhooks, 1000);
}
document.addEventListener("visibilitychange", () => shownKey && webhooks());
