// The eight operations, written with the generated client.

import { createClient, type Client } from "./generated/client/index.js";
import { cancelPartnerApiKeyRotation, createPartnerApiKey, deletePartnerApiKey } from "./generated/index.js";
import { finishPartnerApiKeyRotation, getPartnerApiKey, getPartnerPortal } from "./generated/index.js";
import { reportLeakedPartnerApiKeys, startPartnerApiKeyRotation } from "./generated/index.js";
import type { CreatedKey, EarlierKey, ErrorBody, ErrorCode, ErrorDetail, PartnerApiKey } from "./generated/index.js";
import type { RotatedKey } from "./generated/index.js";

/** An error that the OpenAPI document describes. */
export class PartnerError extends Error {
  override readonly name = "PartnerError";
  readonly status: number;
  readonly code: ErrorCode;
  readonly requestId: string;
  readonly retryAfter: number | undefined; // seconds
  readonly created: EarlierKey | undefined; // what this request created before

  constructor({ status, headers }: Response, { code, message, request_id, created }: ErrorDetail) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = request_id;
    this.created = created;
    this.retryAfter = Number.parseInt(headers.get("Retry-After") ?? "", 10) || undefined;
  }
}

/** Any other response, for example from a proxy, or no response. `cause` has the reason. */
export class UnexpectedResponse extends Error {
  override readonly name = "UnexpectedResponse";

  constructor(
    readonly status: number | undefined,
    cause: unknown,
  ) {
    super(status ? `an undocumented response with status ${status}` : "no response", { cause });
  }
}

/** Creates a client. `token` is a session token, or the partner key to open the portal. */
export function connect(baseUrl: string, token: string): Client {
  return createClient({
    baseUrl,
    parseAs: "json",
    auth: ({ scheme }) => (scheme === "bearer" ? token : undefined), // a plain string is also sent as a cookie
    fetch: (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(30_000) }), // no timeout by default
  });
}

/**
 * Creates the account's key. Only this response contains it. Use a new random UUID as `idempotencyKey` for each
 * key, and the same one to repeat a request whose response was lost. If the key was created before, a
 * `PartnerError` with `created` is thrown.
 */
export async function create(client: Client, idempotencyKey: string): Promise<CreatedKey> {
  return unwrap(await createPartnerApiKey({ client, headers: { "Idempotency-Key": idempotencyKey } }));
}

/**
 * Returns the account's active key, or a `NoKey`: `has_key` distinguishes them. `revoked` of a `NoKey` says when and
 * why the last key was revoked, if there was one.
 */
export async function show(client: Client): Promise<PartnerApiKey> {
  const key = unwrap(await getPartnerApiKey({ client }));
  if (typeof key.has_key !== "boolean") throw new UnexpectedResponse(200, key);
  return key;
}

/** Replaces the account's key. The previous key works for `overlap` seconds. Repeat it as `create`. */
export async function rotate(client: Client, idempotencyKey: string, overlap: number): Promise<RotatedKey> {
  const headers = { "Idempotency-Key": idempotencyKey };
  return unwrap(await startPartnerApiKeyRotation({ client, headers, body: { overlap_seconds: overlap } }));
}

/** Ends the previous key now. */
export async function finishRotation(client: Client): Promise<void> {
  unwrap(await finishPartnerApiKeyRotation({ client }));
}

/** Goes back to the previous key, and revokes the new one. */
export async function cancelRotation(client: Client): Promise<void> {
  unwrap(await cancelPartnerApiKeyRotation({ client }));
}

/** Revokes the account's key. Does nothing if it has none. */
export async function revoke(client: Client): Promise<void> {
  unwrap(await deletePartnerApiKey({ client }));
}

/** Returns a link to the webhook portal. Needs a client whose token is the partner key. */
export async function openPortal(client: Client): Promise<string> {
  return unwrap(await getPartnerPortal({ client })).url;
}

/** Reports keys that were found at `url`. Those that work are revoked at once. Needs no token. */
export async function reportLeaked(client: Client, keys: string[], url: string): Promise<void> {
  unwrap(await reportLeakedPartnerApiKeys({ client, body: { keys, url } }));
}

type Result<T> = { data: T | undefined; error: ErrorBody | undefined; response?: Response };

/** Returns the data, or throws the error. Nothing else checks the response against its type. */
function unwrap<T>({ data, error, response }: Result<T>): T {
  if (data !== undefined) return data;
  const detail = error?.error;
  if (response && detail?.code) throw new PartnerError(response, detail);
  throw new UnexpectedResponse(response?.status, error);
}
