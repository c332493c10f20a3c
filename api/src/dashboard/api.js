// The four operations, as the page calls them.

const KEY = "api/v1/partners/api-key";
const PORTAL = "api/v1/partners/portal";
const PATIENCE_MS = 20_000; // the api answers within 5 s; a bad line may need more

/** Why a call failed. `kind`: offline, unreachable, signed-out, or status. */
export class Failure extends Error {
  constructor(kind, details = {}) {
    super(kind);
    Object.assign(this, { kind, status: 0, said: "", requestId: "", retryAfter: null }, details);
  }
}

export const showKey = () => call("GET", KEY);
export const createKey = () => call("POST", KEY);
export const revokeKey = () => call("DELETE", KEY);
export const openPortal = (key) => call("GET", PORTAL, key);

/** How far the server's clock is ahead of ours, in ms, as its last answer said. */
let ahead = 0;
export const serverNow = () => Date.now() + ahead;

async function call(method, path, key) {
  let response;
  let body;
  try {
    response = await fetch(path, {
      method,
      headers: key ? { authorization: `Bearer ${key}` } : {},
      credentials: key ? "omit" : "same-origin",
      cache: "no-store",
      redirect: "manual", // to a login, for instance
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    body = await response.json().catch((error) => {
      if (error instanceof SyntaxError) return null; // a proxy's page
      throw error;
    });
  } catch {
    throw new Failure(navigator.onLine ? "unreachable" : "offline");
  }
  if (response.type === "opaqueredirect") throw new Failure("signed-out");
  const date = Date.parse(response.headers.get("date") ?? "");
  if (date) ahead = date + 500 - Date.now(); // whole seconds, cut off
  if (response.ok && body) return body;

  const { status } = response;
  if (status === 401 && !key) throw new Failure("signed-out");
  const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  throw new Failure("status", {
    status,
    said: body?.error?.message ?? "",
    requestId: response.headers.get("x-request-id") ?? "",
    retryAfter: Number.isFinite(seconds) ? seconds : null,
  });
}
