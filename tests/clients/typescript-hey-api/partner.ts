// What a partner writes over the generated client.

import { createClient, type Client } from "./generated/client/index.js";
import { createPartnerApiKey, deletePartnerApiKey, getPartnerApiKey, getPartnerPortal } from "./generated/index.js";
import type { ActiveKey, CreatedKey, ErrorBody, ErrorCode, ErrorDetail } from "./generated/index.js";

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

/** Any other answer, of a proxy for instance; or none, with the reason as its cause. */
export class UnexpectedAnswer extends Error {
  override readonly name = "UnexpectedAnswer";

  constructor(
    readonly status: number | undefined,
    cause: unknown,
  ) {
    super(status ? `an undocumented answer with status ${status}` : "no answer", { cause });
  }
}

/** The token is a session, or the partner key for the portal. */
export function connect(baseUrl: string, token: string): Client {
  return createClient({
    baseUrl,
    parseAs: "json",
    auth: ({ scheme }) => (scheme === "bearer" ? token : undefined), // a token alone would be sent as the cookie too
    fetch: (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(30_000) }), // or it waits for ever
  });
}

export async function create(client: Client): Promise<CreatedKey> {
  return unwrap(await createPartnerApiKey({ client }));
}

/** The account's active key; undefined if it has none. */
export async function show(client: Client): Promise<ActiveKey | undefined> {
  const key = unwrap(await getPartnerApiKey({ client }));
  switch (key.has_key) {
    case true:
      return key; // narrowed to ActiveKey
    case false:
      return undefined;
    default:
      throw new UnexpectedAnswer(200, key);
  }
}

export async function revoke(client: Client): Promise<void> {
  unwrap(await deletePartnerApiKey({ client }));
}

/** A link into the webhook portal. */
export async function openPortal(client: Client): Promise<string> {
  return unwrap(await getPartnerPortal({ client })).url;
}

type Answer<T> = { data: T | undefined; error: ErrorBody | undefined; response?: Response };

/** The types are what the document says. Of what really came, only this much is looked at. */
function unwrap<T>({ data, error, response }: Answer<T>): T {
  if (data !== undefined) return data;
  const detail = error?.error;
  if (response && detail?.code) throw new PartnerError(response, detail);
  throw new UnexpectedAnswer(response?.status, error);
}
