// What people read: failures as sentences, times as they are spoken of.

/** A failure in words that somebody can act on. The wait, if any, is told beside them. */
export function explain(failure) {
  switch (failure.kind) {
    case "offline":
      return "You are offline. This page goes on by itself once you are back.";
    case "unreachable":
      return "The service cannot be reached. Check your connection, then try again.";
    case "signed-out":
      return "Your session has ended. Log in again.";
  }
  switch (failure.status) {
    case 403:
      return "The service did not take this request for your own. Reload the page, then try again.";
    case 409:
      return "This account already has a key: it was made in another tab or on another device. This page shows it now.";
    case 429:
      return "Too many requests in a short time.";
    case 503:
      return "The service is briefly unavailable.";
    case 404:
    case 502:
    case 504:
      return failure.said || "The webhook provider does not answer. Try again shortly.";
  }
  const reference = failure.requestId ? ` and quote ${failure.requestId}` : "";
  return `Something went wrong on our side. Try again; if it happens again, contact support${reference}.`;
}

/** "12 s", "3 min", "2 h": how long until then. */
export function duration(ms) {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** When it was, by this browser's clock and customs. */
export function moment(iso) {
  return format({ dateStyle: "medium", timeStyle: "short" }, iso);
}

/** The same to the second, with the time zone. */
export function exactMoment(iso) {
  return format({ dateStyle: "full", timeStyle: "long" }, iso);
}

const format = (options, iso) =>
  new Intl.DateTimeFormat(undefined, options).format(new Date(iso));

/** How far the webhooks are: a word or two, and a sentence. */
export function webhookWords(shown, now) {
  const { state, attempts, next_attempt_at: next } = shown.webhook ?? {
    state: shown.has_webhook ? "ready" : "setting_up",
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
  if (!attempts) return "This takes a moment. Your key works already.";
  if (!next) return `Attempt ${attempts} is under way. Your key works already.`;
  const wait = Date.parse(next) - now;
  const when = wait > 0 ? `in ${duration(wait)}` : "now";
  return `Attempt ${attempts} did not get through. Next try ${when}; there is nothing to do.`;
}
