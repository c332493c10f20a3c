// The operations of the API, as the page calls them.

const KEY = "api/v1/partners/api-key";
const PORTAL = "api/v1/partners/portal";
const TIMEOUT_MS = 20_000; // the API seldom takes more than 10 s; a slow network may need more

/** The error of a call. `kind` is "offline", "unreachable", "signed-out", "canceled" or "status". */
export class ApiCallError extends Error {
  constructor(kind, details = {}) {
    super(kind);
    Object.assign(this, { kind, status: 0, message: "", requestId: "", retryAfter: null }, details);
  }
}

export const getKey = () => call("GET", KEY);
export const createKey = () => call("POST", KEY);
export const revokeKey = () => call("DELETE", KEY);
export const startRotation = () => call("POST", `${KEY}/rotation`);
export const finishRotation = () => call("POST", `${KEY}/rotation/finish`);
export const cancelRotation = () => call("DELETE", `${KEY}/rotation`);
/** Requests a portal link. Aborting `signal` cancels the call. */
export const getPortal = (key, signal) => call("GET", PORTAL, key, signal);

/** Milliseconds that the server's clock is ahead of the browser's, by the last answer. */
let clockOffset = 0;
export const serverNow = () => Date.now() + clockOffset;

async function call(method, path, key, signal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  let body;
  try {
    response = await fetch(path, {
      method,
      headers: key ? { authorization: `Bearer ${key}` } : {},
      credentials: key ? "omit" : "same-origin",
      cache: "no-store",
      redirect: "manual", // a redirect may lead to a login
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    body = await response.json().catch((error) => {
      if (error instanceof SyntaxError) return null; // an HTML page of a proxy
      throw error;
    });
  } catch {
    if (signal?.aborted) throw new ApiCallError("canceled");
    throw new ApiCallError(navigator.onLine ? "unreachable" : "offline");
  }
  if (response.type === "opaqueredirect") throw new ApiCallError("signed-out");
  const date = Date.parse(response.headers.get("date") ?? "");
  if (date) clockOffset = date + 500 - Date.now(); // the header has whole seconds, rounded down
  if (response.ok && body) return body;

  const { status } = response;
  if (status === 401 && !key) throw new ApiCallError("signed-out");
  const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  throw new ApiCallError("status", {
    status,
    message: body?.error?.message ?? "",
    requestId: response.headers.get("x-request-id") ?? "",
    retryAfter: Number.isFinite(seconds) ? seconds : null,
  });
}
