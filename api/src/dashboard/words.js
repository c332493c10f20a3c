// The page's sentences: errors, times and the state of the webhooks.

/** Explains an error in words that the user can act on. */
export function explain(error) {
  switch (error.kind) {
    case "offline":
      return "You are offline. This page continues automatically once you are online.";
    case "unreachable":
      return "The service cannot be reached. Check your connection, then try again.";
    case "signed-out":
      return "Your session has ended. Log in again.";
  }
  switch (error.status) {
    case 403:
      return "The service did not accept this request. Reload the page, then try again.";
    case 409:
      return /rotation|previous/.test(error.message)
        ? error.message
        : "This account already has a key. It was created in another tab or on another device, and this page shows it now.";
    case 429:
      return "Too many requests in a short time.";
    case 503:
      return "The service is temporarily unavailable.";
    case 404:
    case 502:
    case 504:
      return error.message || "The webhook provider does not answer. Try again shortly.";
  }
  const reference = error.requestId ? ` and quote ${error.requestId}` : "";
  return `Something went wrong on our side. Try again. If it happens again, contact support${reference}.`;
}

/** Formats a duration: "12 s", "3 min", "2 h". */
export function duration(ms) {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** Formats a time in the browser's time zone and language. */
export function formatTime(iso) {
  return format({ dateStyle: "medium", timeStyle: "short" }, iso);
}

/** Formats a time to the second, with the time zone. */
export function formatExactTime(iso) {
  return format({ dateStyle: "full", timeStyle: "long" }, iso);
}

const format = (options, iso) => new Intl.DateTimeFormat(undefined, options).format(new Date(iso));

/** Returns a heading and a sentence about the end of the last key. The sentence ends with its time. */
export function revokedWords({ reason }) {
  switch (reason) {
    case "by_you":
      return ["Your last key is revoked", "It was revoked from your account, on"];
    case "leaked":
      return ["Your last key has leaked", "It was found where others could read it, and was revoked at once, on"];
    default:
      return ["Your last key was revoked", "The service’s operators did it. Contact support if you do not know why. Time:"];
  }
}

/** Returns the state of the webhooks, a label for it, and a sentence that explains it. */
export function webhookWords(shownKey, now) {
  const { state, attempts, next_attempt_at: next } = shownKey.webhook ?? {
    state: shownKey.has_webhook ? "ready" : "setting_up",
    attempts: 0,
  };
  if (state === "ready") {
    return [state, "Ready", "Choose in the portal which events you receive, and where."];
  }
  if (state === "needs_attention") {
    const advice = "Contact support, or revoke the key and generate a new one.";
    return [state, "Needs attention", `Your webhooks could not be set up. ${advice}`];
  }
  return [state, "Setting up", progress(attempts, next, now)];
}

function progress(attempts, next, now) {
  if (!attempts) return "This takes a moment. Your key already works.";
  if (!next) return `Attempt ${attempts} is running. Your key already works.`;
  const wait = Date.parse(next) - now;
  const when = wait > 0 ? `in ${duration(wait)}` : "now";
  return `Attempt ${attempts} failed. The next attempt follows ${when}; you need not do anything.`;
}
