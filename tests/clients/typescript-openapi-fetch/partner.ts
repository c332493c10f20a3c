// What a partner writes over the generated types.

import createClient, { type Client } from "openapi-fetch";
import type { ActiveKey, CreatedKey, ErrorBody, ErrorCode, ErrorDetail, paths } from "./generated/api.js";

/** An error that the service documents. */
export class PartnerError extends Error {
  override readonly name = "PartnerError";
  readonly status: number;
  readonly code: ErrorCode;
  readonly requestId: string;
  readonly retryAfter: number | undefined; // seconds

  constructor({ status, headers }: Response, { code, message, request_id }: ErrorDetail) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = request_id;
    this.retryAfter = Number.parseInt(headers.get("Retry-After") ?? "", 10) || undefined;
  }
}

/** Any other answer, of a proxy for instance. None at all, or one that is no JSON, is an error of fetch's own. */
export class UnexpectedAnswer extends Error {
  override readonly name = "UnexpectedAnswer";

  constructor(readonly status: number) {
    super(`an undocumented answer with status ${status}`);
  }
}

/** The token is a session, or the partner key for the portal. */
export function connect(baseUrl: string, token: string): Client<paths> {
  return createClient<paths>({
    baseUrl,
    headers: { Authorization: `Bearer ${token}` },
    fetch: (request) => fetch(request, { signal: AbortSignal.timeout(30_000) }), // by default it waits for ever
  });
}

export async function create(client: Client<paths>): Promise<CreatedKey> {
  return unwrap(await client.POST("/api/v1/partners/api-key"));
}

/** The account's active key; undefined if it has none. */
export async function show(client: Client<paths>): Promise<ActiveKey | undefined> {
  const key = unwrap(await client.GET("/api/v1/partners/api-key"));
  switch (key.has_key) {
    case true:
      return key; // narrowed to ActiveKey
    case false:
      return undefined;
    default:
      throw new UnexpectedAnswer(200);
  }
}

export async function revoke(client: Client<paths>): Promise<void> {
  unwrap(await client.DELETE("/api/v1/partners/api-key"));
}

/** A link into the webhook portal. */
export async function openPortal(client: Client<paths>): Promise<string> {
  return unwrap(await client.GET("/api/v1/partners/portal")).url;
}

/** The types are what the document says. Of what really came, only this much is looked at. */
function unwrap<T>({ data, error, response }: { data?: T; error?: ErrorBody; response: Response }): T {
  if (data !== undefined) return data;
  const detail = error?.error;
  if (detail?.code) throw new PartnerError(response, detail);
  throw new UnexpectedAnswer(response.status);
}
