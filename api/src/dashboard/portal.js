// Opening the webhook portal, with the key in memory or with one that the user pastes.

import { getPortal } from "./api.js";
import { closeDialog, openDialog, showMessage, whileBusy } from "./dialogs.js";
import { announce, showNotice } from "./notices.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("portal-dialog");
const input = byId("portal-key");

/**
 * Connects the portal's buttons. The page passes the state that it owns: `shownKey()` is what the API
 * last said of the key, `heldKey()` is the key itself if the page still has it.
 */
export function connectPortal({ shownKey, heldKey, forgetHeldKey, mayCall, showError, poll }) {
  byId("portal").addEventListener("click", async () => {
    if (!shownKey()?.has_webhook) return announce(byId("webhook-detail").textContent);
    if (!heldKey()) await openDialog(dialog);
    else if (mayCall()) await whileBusy(byId("portal"), () => enter(heldKey()));
  });

  byId("portal-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = input.value.trim();
    const complaint = complaintAbout(key, shownKey());
    input.toggleAttribute("aria-invalid", Boolean(complaint));
    if (complaint) {
      showMessage(dialog, complaint);
      input.focus();
    } else if (mayCall(dialog)) {
      showMessage(dialog, "");
      whileBusy(byId("portal-now"), () => enter(key, dialog));
    }
  });

  async function enter(key, openedFrom) {
    let url;
    try {
      ({ url } = await getPortal(key));
    } catch (error) {
      if (error.status !== 401) return showError(error, openedFrom);
      forgetHeldKey();
      closeDialog(dialog);
      await poll.now();
      return showNotice("This key is no longer active. It was revoked in another tab or on another device.");
    }
    closeDialog(dialog); // before the new tab comes to the front
    await openTab(url);
    poll.now(); // the time of the last use has changed
  }
}

/** Returns what is wrong with a text, so that only the key itself is sent anywhere. */
function complaintAbout(text, shownKey) {
  if (!text) return "Paste your API key.";
  if (!/^pk_live_[0-9a-f]{64}$/.test(text)) {
    return "This is not a complete API key. A key is pk_live_ and 64 more characters.";
  }
  if (shownKey && !text.startsWith(shownKey.prefix)) {
    return `This is another key. The active key begins with ${shownKey.prefix}.`;
  }
  return "";
}

/** Opens the portal in a new tab, or offers a link if the browser does not allow that. */
async function openTab(url) {
  // Not with `noopener`, which would hide whether the tab has opened.
  const tab = window.open("", "_blank");
  if (tab) {
    tab.opener = null; // the portal must not reach this page
    tab.location.replace(url);
  } else {
    byId("link").href = url;
    await openDialog(byId("link-dialog"));
  }
}

byId("link").addEventListener("click", (event) => {
  // A copy of the link opens the tab, so that the link itself can be removed now.
  event.preventDefault();
  const copy = byId("link").cloneNode();
  closeDialog(byId("link-dialog"));
  copy.click();
});
