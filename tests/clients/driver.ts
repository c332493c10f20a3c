// The plumbing of the TypeScript clients: answers the commands of tests/suites/clients.rs, a line of JSON for each.

import { createInterface } from "node:readline";

/** What a client's partner.ts exports. */
interface Partner<Client> {
  connect(baseUrl: string, token: string): Client;
  create(client: Client): Promise<{ api_key: string; prefix: string; message: string }>;
  show(client: Client): Promise<ActiveKey | undefined>;
  revoke(client: Client): Promise<void>;
  openPortal(client: Client): Promise<string>;
  PartnerError: abstract new (...args: never[]) => PartnerError;
  UnexpectedAnswer: abstract new (...args: never[]) => Error & { status: number | undefined };
}

interface ActiveKey {
  prefix: string;
  has_webhook: boolean;
  created_at: string;
  last_used_at?: string | undefined;
  webhook?: { state: string; attempts: number; next_attempt_at?: string | undefined } | undefined;
}

interface PartnerError extends Error {
  status: number;
  code: string;
  requestId: string;
  retryAfter: number | undefined;
}

/** Answers until there is no more input. `withCookie` makes a client that sends this cookie alone. */
export async function drive<C>(partner: Partner<C>, withCookie: (baseUrl: string, cookie: string) => C): Promise<void> {
  const baseUrl = process.env["BASE_URL"] ?? "http://127.0.0.1:8080";
  for await (const line of createInterface({ input: process.stdin })) {
    const [command = "", credential = ""] = line.trim().split(" ");
    const token = credential.slice(credential.indexOf(":") + 1);
    const client = credential.startsWith("cookie:")
      ? withCookie(baseUrl, `session=${token}`)
      : partner.connect(baseUrl, token);
    const answer = await run(partner, client, command).catch((error: unknown) => failed(partner, error));
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

async function run<C>(partner: Partner<C>, client: C, command: string): Promise<object> {
  switch (command) {
    case "create": {
      const { api_key, prefix, message } = await partner.create(client);
      return { created: whole({ api_key, prefix, message }) };
    }
    case "show": {
      const key = await partner.show(client);
      return key ? { active_key: shown(key) } : { no_key: {} };
    }
    case "revoke":
      await partner.revoke(client);
      return { revoked: {} };
    case "portal":
      return { portal: whole({ url: await partner.openPortal(client) }) };
    default:
      throw new Error(`no such command: ${command}`);
  }
}

function shown({ prefix, has_webhook, created_at, last_used_at = null, webhook }: Nullable<ActiveKey>): object {
  return whole({ prefix, has_webhook, created_at, last_used_at, webhook: webhook ? state(webhook) : null });
}

function state({ state, attempts, next_attempt_at = null }: Nullable<NonNullable<ActiveKey["webhook"]>>): object {
  return whole({ state, attempts, next_attempt_at });
}

type Nullable<T> = { [Member in keyof T]: T[Member] | null };

/** The types hold at compile time alone: says so where a required member is missing. */
function whole(members: Record<string, unknown>): object {
  const missing = Object.keys(members).filter((name) => members[name] === undefined);
  if (missing.length > 0) throw new Error(`missing: ${missing.join(", ")}`);
  return members;
}

function failed<C>({ PartnerError, UnexpectedAnswer }: Partner<C>, error: unknown): object {
  if (error instanceof PartnerError) {
    const { status, code, message, requestId, retryAfter = null } = error;
    return { error: { status, code, message, request_id: requestId, retry_after: retryAfter } };
  }
  const { status = null } = error instanceof UnexpectedAnswer ? error : {};
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return { unexpected: { status, reason: String(reason) } };
}
