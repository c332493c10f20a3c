// Shows the state of the key and of the webhooks in the cards.

import { serverNow } from "./api.js";
import { announce } from "./notices.js";
import { showRotation } from "./rotation.js";
import { formatExactTime, formatTime, revokedWords, webhookWords } from "./words.js";

const byId = (id) => document.getElementById(id);
let shownKey = null;
let countdown;

/** Shows one view of the key's card. */
function showView(name) {
  const views = byId("key-views");
  views.removeAttribute("aria-busy");
  for (const view of views.children) view.toggleAttribute("data-shown", view.dataset.view === name);
}

/** Shows what the API says of the key. */
export function showKey(answer) {
  shownKey = answer.has_key ? answer : null;
  if (shownKey) {
    byId("prefix").textContent = shownKey.prefix;
    setTime(byId("created"), shownKey.created_at);
    setLastUse(byId("used"), shownKey.last_used_at);
  }
  showRotation(shownKey?.rotation);
  showRevoked(answer.revoked);
  showView(shownKey ? "key" : "none");
  showWebhooks();
}

/** Shows the end of the last key, if the account had one and has no other since. */
function showRevoked(revoked) {
  byId("revoked").hidden = !revoked;
  if (!revoked) return;
  const [title, text] = revokedWords(revoked);
  const isNews = byId("revoked-at").dateTime !== revoked.at && revoked.reason !== "by_you";
  byId("revoked-title").textContent = title;
  byId("revoked-text").textContent = text;
  setTime(byId("revoked-at"), revoked.at);
  byId("leak-advice").hidden = revoked.reason !== "leaked";
  if (isNews) announce(`${title}. ${text} ${byId("revoked-at").textContent}`);
}

/** Shows a view without a key: the user is signed out, or the first request failed. */
export function showUnknown(name) {
  shownKey = null;
  showView(name);
  showWebhooks("", "");
}

/** Writes the time of a key's last use into an element. */
export function setLastUse(place, iso) {
  if (!iso) return place.replaceChildren("Never");
  const element = document.createElement("time");
  setTime(element, iso);
  place.replaceChildren(element);
}

/** Writes a time into a `time` element. */
export function setTime(element, iso) {
  element.dateTime = iso;
  element.title = formatExactTime(iso);
  element.textContent = formatTime(iso);
}

function showWebhooks(emptyLabel = "Waiting for a key", emptyDetail = "Webhooks are set up automatically once you have a key.") {
  const [state, label, detail] = shownKey
    ? webhookWords(shownKey, serverNow())
    : ["none", emptyLabel, emptyDetail];
  const badge = byId("webhook-state");
  // Texts that have not changed are not written again: that would disturb a selection or a screen reader.
  if (badge.textContent !== label) {
    const isNews = badge.dataset.state !== "none" && state !== "none";
    badge.textContent = label;
    if (isNews) announce(`Webhooks: ${label}. ${detail}`);
  }
  badge.dataset.state = state;
  if (byId("webhook-detail").textContent !== detail) byId("webhook-detail").textContent = detail;
  const portal = byId("portal");
  if (!("busy" in portal.dataset)) portal.setAttribute("aria-disabled", String(state !== "ready"));

  clearTimeout(countdown);
  const countsDown = state === "setting_up" && shownKey.webhook?.next_attempt_at;
  if (countsDown && !document.hidden) countdown = setTimeout(showWebhooks, 1000);
}
document.addEventListener("visibilitychange", () => shownKey && showWebhooks());
