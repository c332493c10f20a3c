// Opening the webhook portal, with the key in memory or with one that the user pastes.

import { getPortal } from "./api.js";
import { closeDialog, closeSignal, forgetSecret, openDialog, showMessage, whileBusy } from "./dialogs.js";
import { announce, showNotice } from "./notices.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("portal-dialog");
const input = byId("portal-key");
const link = byId("link");
const linkDialog = byId("link-dialog");
const LINK_REMOVED = "The link to your portal was removed because you left this page. You can open the portal again.";

/**
 * Connects the portal's buttons. The page passes the state that it owns: `shownKey()` is what the API
 * last said of the key, `heldKey()` is the key itself if the page still has it.
 */
export function connectPortal({ shownKey, heldKey, forgetHeldKey, mayCall, showError, poll }) {
  byId("portal").addEventListener("click", () => {
    if (!shownKey()?.has_webhook) return announce(byId("webhook-detail").textContent);
    if (!heldKey()) {
      input.removeAttribute("aria-invalid");
      openDialog(dialog);
    } else if (mayCall()) {
      whileBusy(byId("portal"), () => enter(heldKey()));
    }
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

  /** Closing `openedFrom`, the dialog where the user pasted the key, cancels the call. */
  async function enter(key, openedFrom) {
    let url;
    try {
      ({ url } = await getPortal(key, openedFrom && closeSignal(openedFrom)));
    } catch (error) {
      if (error.status !== 401) return showError(error, openedFrom);
      forgetHeldKey();
      closeDialog(dialog);
      await poll.now();
      return showNotice("This key is no longer active. It was revoked in another tab or on another device.");
    }
    closeDialog(dialog); // before the new tab comes to the front
    openTab(url);
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
function openTab(url) {
  // Not with `noopener`, which would hide whether the tab has opened.
  const tab = window.open("", "_blank");
  if (tab) {
    tab.opener = null; // the portal must not reach this page
    tab.location.replace(url);
  } else if (document.hidden) {
    showNotice(LINK_REMOVED, { kind: "quiet" });
  } else {
    openDialog(linkDialog);
    link.href = url;
  }
}

/** Follows a copy of the link, so that the link itself is removed before the tab opens. */
function followLink(event) {
  if (event.button > 1) return; // the context menu, for instance
  event.preventDefault();
  const copy = link.cloneNode();
  closeDialog(linkDialog);
  copy.click();
}
link.addEventListener("click", followLink);
link.addEventListener("auxclick", followLink); // the middle button

// A phone may close a hidden page without another event, and an unused link expires. So a hidden page
// forgets what the user can get again: the pasted key and the link. A new key stays: it cannot be shown
// again, and people switch to a password manager in order to save it.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return;
  if (input.value) {
    forgetSecret(dialog);
    showMessage(dialog, "The key was removed because you left this page. Paste it again.", "quiet");
  }
  if (linkDialog.open) {
    closeDialog(linkDialog);
    showNotice(LINK_REMOVED, { kind: "quiet" });
  }
});
