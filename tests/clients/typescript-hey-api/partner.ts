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
    this.retryAfter = headers.has("Retry-After") ? Number(headers.get("Retry-After")) : undefined;
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
  // A token on its own would be sent as the session cookie too.
  return createClient({ baseUrl, parseAs: "json", auth: ({ scheme }) => (scheme === "bearer" ? token : undefined) });
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

/** The types are what the document says; what really came is looked at here. */
function unwrap<T>({ data, error, response }: Answer<T>): T {
  if (data !== undefined) return data;
  const detail = error?.error;
  if (response && detail?.code) throw new PartnerError(response, detail);
  throw new UnexpectedAnswer(response?.status, error);
}
