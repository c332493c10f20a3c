// The test driver of the TypeScript clients. It reads the commands of tests/suites/clients.rs, one a line, and
// writes each result as a line of JSON.

import { createInterface } from "node:readline";

/** The exports of a client's partner.ts. */
interface Partner<Client> {
  connect(baseUrl: string, token: string): Client;
  create(client: Client, idempotencyKey: string): Promise<{ api_key: string; prefix: string; message: string }>;
  show(client: Client): Promise<ActiveKey | NoKey>;
  rotate(client: Client, idempotencyKey: string, overlap: number): Promise<RotatedKey>;
  finishRotation(client: Client): Promise<void>;
  cancelRotation(client: Client): Promise<void>;
  revoke(client: Client): Promise<void>;
  openPortal(client: Client): Promise<string>;
  reportLeaked(client: Client, keys: string[], url: string): Promise<void>;
  PartnerError: abstract new (...args: never[]) => PartnerError;
  UnexpectedResponse: abstract new (...args: never[]) => Error & { status: number | undefined };
}

type Time = string | Date;

interface RotatedKey {
  api_key: string;
  prefix: string;
  message: string;
  previous: { prefix: string; expires_at: Time };
}

interface ActiveKey {
  has_key: true;
  prefix: string;
  has_webhook: boolean;
  created_at: Time;
  last_used_at?: Time | undefined;
  webhook?: { state: string; attempts: number; next_attempt_at?: Time | undefined } | undefined;
  rotation?: Rotation | undefined;
}

interface NoKey {
  has_key: false;
  revoked?: { at: Time; reason: string } | undefined;
}

interface Rotation {
  previous_prefix: string;
  previous_expires_at: Time;
  previous_last_used_at?: Time | undefined;
}

interface PartnerError extends Error {
  status: number;
  code: string;
  requestId: string;
  retryAfter: number | undefined;
  created: { prefix: string; created_at: Time; revoked_at?: Time | undefined } | undefined;
}

/** Runs commands until the input ends. `withCookie` creates a client that sends only this cookie. */
export async function drive<C>(partner: Partner<C>, withCookie: (baseUrl: string, cookie: string) => C): Promise<void> {
  const baseUrl = process.env["BASE_URL"] ?? "http://127.0.0.1:8080";
  for await (const line of createInterface({ input: process.stdin })) {
    const [command = "", credential = "", argument = ""] = line.trim().split(" ");
    const token = credential.slice(credential.indexOf(":") + 1);
    const client = credential.startsWith("cookie:")
      ? withCookie(baseUrl, `session=${token}`)
      : partner.connect(baseUrl, token);
    const result = await run(partner, client, command, argument).catch((error: unknown) => errorJson(partner, error));
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

async function run<C>(partner: Partner<C>, client: C, command: string, argument: string): Promise<object> {
  switch (command) {
    case "create": {
      const { api_key, prefix, message } = await partner.create(client, argument);
      return { created: requireAll({ api_key, prefix, message }) };
    }
    case "rotate": {
      const { api_key, prefix, message, previous } = await partner.rotate(client, argument, 3600);
      return { rotated: requireAll({ api_key, prefix, message, previous: requireAll({ ...previous }) }) };
    }
    case "finish":
      await partner.finishRotation(client);
      return { finished: {} };
    case "cancel":
      await partner.cancelRotation(client);
      return { canceled: {} };
    case "show": {
      const key = await partner.show(client);
      return key.has_key ? { active_key: keyJson(key) } : { no_key: noKeyJson(key) };
    }
    case "revoke":
      await partner.revoke(client);
      return { revoked: {} };
    case "portal":
      return { portal: requireAll({ url: await partner.openPortal(client) }) };
    case "report":
      await partner.reportLeaked(client, [argument], "https://example.com/a-public-file");
      return { reported: {} };
    default:
      throw new Error(`unknown command: ${command}`);
  }
}

function noKeyJson({ revoked }: NoKey): object {
  return { revoked: revoked ? requireAll({ at: revoked.at, reason: revoked.reason }) : null };
}

function keyJson({ prefix, has_webhook, created_at, last_used_at = null, webhook, rotation }: Nullable<ActiveKey>): object {
  const optional = { webhook: webhook ? webhookJson(webhook) : null, rotation: rotation ? rotationJson(rotation) : null };
  return requireAll({ prefix, has_webhook, created_at, last_used_at, ...optional });
}

function rotationJson({ previous_prefix, previous_expires_at, previous_last_used_at = null }: Nullable<Rotation>): object {
  return requireAll({ previous_prefix, previous_expires_at, previous_last_used_at });
}

function webhookJson({ state, attempts, next_attempt_at = null }: Nullable<NonNullable<ActiveKey["webhook"]>>): object {
  return requireAll({ state, attempts, next_attempt_at });
}

type Nullable<T> = { [Member in keyof T]: T[Member] | null };

/** Throws an error if a required member is missing: TypeScript checks types only at compile time. */
function requireAll(members: Record<string, unknown>): object {
  const missing = Object.keys(members).filter((name) => members[name] === undefined);
  if (missing.length > 0) throw new Error(`required members are missing: ${missing.join(", ")}`);
  return members;
}

function errorJson<C>({ PartnerError, UnexpectedResponse }: Partner<C>, error: unknown): object {
  if (error instanceof PartnerError) {
    const { status, code, message, requestId, retryAfter = null, created = null } = error;
    return { error: { status, code, message, request_id: requestId, retry_after: retryAfter, created } };
  }
  const { status = null } = error instanceof UnexpectedResponse ? error : {};
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return { unexpected: { status, reason: String(reason) } };
}
