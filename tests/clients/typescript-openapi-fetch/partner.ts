// The eight operations, written with the generated types.

import createClient, { type Client } from "openapi-fetch";
import type { CreatedKey, EarlierKey, ErrorBody, ErrorCode, ErrorDetail, PartnerApiKey } from "./generated/api.js";
import type { RotatedKey, paths } from "./generated/api.js";

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

/**
 * Any other response, for example from a proxy. If there is no response, or it is not JSON, the error of
 * `fetch` is thrown instead.
 */
export class UnexpectedResponse extends Error {
  override readonly name = "UnexpectedResponse";

  constructor(readonly status: number) {
    super(`an undocumented response with status ${status}`);
  }
}

/** Creates a client. `token` is a session token, or the partner key to open the portal. */
export function connect(baseUrl: string, token: string): Client<paths> {
  return createClient<paths>({
    baseUrl,
    headers: { Authorization: `Bearer ${token}` },
    fetch: (request) => fetch(request, { signal: AbortSignal.timeout(30_000) }), // no timeout by default
  });
}

/**
 * Creates the account's key. Only this response contains it. Use a new random UUID as `idempotencyKey` for each
 * key, and the same one to repeat a request whose response was lost. If the key was created before, a
 * `PartnerError` with `created` is thrown.
 */
export async function create(client: Client<paths>, idempotencyKey: string): Promise<CreatedKey> {
  return unwrap(await client.POST("/api/v1/partners/api-key", { params: { header: { "Idempotency-Key": idempotencyKey } } }));
}

/**
 * Returns the account's active key, or a `NoKey`: `has_key` distinguishes them. `revoked` of a `NoKey` says when and
 * why the last key was revoked, if there was one.
 */
export async function show(client: Client<paths>): Promise<PartnerApiKey> {
  const key = unwrap(await client.GET("/api/v1/partners/api-key"));
  if (typeof key.has_key !== "boolean") throw new UnexpectedResponse(200);
  return key;
}

/** Replaces the account's key. The previous key works for `overlap` seconds. Repeat it as `create`. */
export async function rotate(client: Client<paths>, idempotencyKey: string, overlap: number): Promise<RotatedKey> {
  const header = { "Idempotency-Key": idempotencyKey };
  const body = { overlap_seconds: overlap };
  return unwrap(await client.POST("/api/v1/partners/api-key/rotation", { params: { header }, body }));
}

/** Ends the previous key now. */
export async function finishRotation(client: Client<paths>): Promise<void> {
  unwrap(await client.POST("/api/v1/partners/api-key/rotation/finish"));
}

/** Goes back to the previous key, and revokes the new one. */
export async function cancelRotation(client: Client<paths>): Promise<void> {
  unwrap(await client.DELETE("/api/v1/partners/api-key/rotation"));
}

/** Revokes the account's key. Does nothing if it has none. */
export async function revoke(client: Client<paths>): Promise<void> {
  unwrap(await client.DELETE("/api/v1/partners/api-key"));
}

/** Returns a link to the webhook portal. Needs a client whose token is the partner key. */
export async function openPortal(client: Client<paths>): Promise<string> {
  return unwrap(await client.GET("/api/v1/partners/portal")).url;
}

/** Reports keys that were found at `url`. Those that work are revoked at once. Needs no token. */
export async function reportLeaked(client: Client<paths>, keys: string[], url: string): Promise<void> {
  unwrap(await client.POST("/api/v1/partners/leaked-keys", { body: { keys, url } }));
}

/** Returns the data, or throws the error. Nothing else checks the response against its type. */
function unwrap<T>({ data, error, response }: { data?: T; error?: ErrorBody; response: Response }): T {
  if (data !== undefined) return data;
  const detail = error?.error;
  if (detail?.code) throw new PartnerError(response, detail);
  throw new UnexpectedResponse(response.status);
}
