// Answers the commands of tests/suites/clients.rs, a line of JSON for each.

import { createInterface } from "node:readline";
import { connect, create, openPortal, PartnerError, revoke, show, UnexpectedAnswer } from "./partner.js";
import { createClient, type Client } from "./generated/client/index.js";
import type { ActiveKey } from "./generated/index.js";

const BASE_URL = process.env["BASE_URL"] ?? "http://127.0.0.1:8080";

for await (const line of createInterface({ input: process.stdin })) {
  const [command = "", credential = ""] = line.trim().split(" ");
  const answer = await run(command, credential).catch(failed);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function run(command: string, credential: string): Promise<object> {
  const client = connected(credential);
  switch (command) {
    case "create": {
      const { api_key, prefix, message } = await create(client);
      return { created: whole({ api_key, prefix, message }) };
    }
    case "show": {
      const key = await show(client);
      return key ? { active_key: shown(key) } : { no_key: {} };
    }
    case "revoke":
      await revoke(client);
      return { revoked: {} };
    case "portal":
      return { portal: whole({ url: await openPortal(client) }) };
    default:
      throw new Error(`no such command: ${command}`);
  }
}

/** `bearer:TOKEN` or `cookie:TOKEN`; the generated functions know where each goes. */
function connected(credential: string): Client {
  const token = credential.slice(credential.indexOf(":") + 1);
  if (credential.startsWith("bearer:")) return connect(BASE_URL, token);
  return createClient({ baseUrl: BASE_URL, headers: { Cookie: `session=${token}` } });
}

function shown({ prefix, has_webhook, created_at, last_used_at, webhook }: ActiveKey): object {
  return whole({
    prefix,
    has_webhook,
    created_at,
    last_used_at: last_used_at ?? null,
    webhook: webhook
      ? whole({ state: webhook.state, attempts: webhook.attempts, next_attempt_at: webhook.next_attempt_at ?? null })
      : null,
  });
}

/** The types hold at compile time alone: says so where a required member is missing. */
function whole(members: Record<string, unknown>): object {
  const missing = Object.keys(members).filter((name) => members[name] === undefined);
  if (missing.length > 0) throw new Error(`missing: ${missing.join(", ")}`);
  return members;
}

function failed(error: unknown): object {
  if (error instanceof PartnerError) {
    const { status, code, message, requestId, retryAfter } = error;
    return { error: { status, code, message, request_id: requestId, retry_after: retryAfter ?? null } };
  }
  const status = error instanceof UnexpectedAnswer ? (error.status ?? null) : null;
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return { unexpected: { status, reason: String(reason) } };
}
