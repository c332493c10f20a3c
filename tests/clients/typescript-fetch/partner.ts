// The eight operations, written with the generated client.

import { APIKeyApi, Configuration, ErrorBodyFromJSON, ResponseError, WebhooksApi } from "./generated/index.js";
import { instanceOfActiveKey, LeakedKeysApi } from "./generated/index.js";
import type { ActiveKey, CreatedKey, EarlierKey, ErrorCode, ErrorDetail, NoKey, RotatedKey } from "./generated/index.js";

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
    cause?: unknown,
  ) {
    super(status ? `an undocumented response with status ${status}` : "no response that this client can parse", { cause });
  }
}

/** Creates a client. `token` is a session token, or the partner key to open the portal. */
export function connect(basePath: string, token: string): Configuration {
  return new Configuration({
    basePath,
    accessToken: token,
    fetchApi: (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(30_000) }), // no timeout by default
  });
}

/**
 * Creates the account's key. Only this response contains it. Use a new random UUID as `idempotencyKey` for each
 * key, and the same one to repeat a request whose response was lost. If the key was created before, a
 * `PartnerError` with `created` is thrown.
 */
export async function create(client: Configuration, idempotencyKey: string): Promise<CreatedKey> {
  return unwrap(new APIKeyApi(client).createPartnerApiKey({ idempotencyKey }));
}

/** What `show` returns. The generator makes one type of both, in which all members seem to be there. */
export type ShownKey = (ActiveKey & { has_key: true }) | (NoKey & { has_key: false });

/**
 * Returns the account's active key, or a `NoKey`: `has_key` distinguishes them. `revoked` of a `NoKey` says when and
 * why the last key was revoked, if there was one.
 */
export async function show(client: Configuration): Promise<ShownKey> {
  const key = await unwrap(new APIKeyApi(client).getPartnerApiKey());
  if (key.has_key === false) return { has_key: false, revoked: key.revoked };
  if (!instanceOfActiveKey(key)) throw new UnexpectedResponse(200);
  return { ...key, has_key: true };
}

/** Replaces the account's key. The previous key works for `overlap` seconds. Repeat it as `create`. */
export async function rotate(client: Configuration, idempotencyKey: string, overlap: number): Promise<RotatedKey> {
  const rotationRequest = { overlap_seconds: overlap };
  return unwrap(new APIKeyApi(client).startPartnerApiKeyRotation({ idempotencyKey, rotationRequest }));
}

/** Ends the previous key now. */
export async function finishRotation(client: Configuration): Promise<void> {
  await unwrap(new APIKeyApi(client).finishPartnerApiKeyRotation());
}

/** Goes back to the previous key, and revokes the new one. */
export async function cancelRotation(client: Configuration): Promise<void> {
  await unwrap(new APIKeyApi(client).cancelPartnerApiKeyRotation());
}

/** Revokes the account's key. Does nothing if it has none. */
export async function revoke(client: Configuration): Promise<void> {
  await unwrap(new APIKeyApi(client).deletePartnerApiKey());
}

/** Returns a link to the webhook portal. Needs a client whose token is the partner key. */
export async function openPortal(client: Configuration): Promise<string> {
  return (await unwrap(new WebhooksApi(client).getPartnerPortal())).url;
}

/** Reports keys that were found at `url`. Those that work are revoked at once. Needs no token. */
export async function reportLeaked(client: Configuration, keys: string[], url: string): Promise<void> {
  await unwrap(new LeakedKeysApi(client).reportLeakedPartnerApiKeys({ leakReport: { keys, url } }));
}

/** Returns the data, or throws the error. The generated code does not parse the body of an error. */
async function unwrap<T>(result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (failure) {
    if (!(failure instanceof ResponseError)) throw new UnexpectedResponse(undefined, failure);
    const { response } = failure;
    const body = await response.json().then(ErrorBodyFromJSON, () => undefined);
    const detail: ErrorDetail | undefined = body?.error;
    if (detail?.code) throw new PartnerError(response, detail);
    throw new UnexpectedResponse(response.status);
  }
}
