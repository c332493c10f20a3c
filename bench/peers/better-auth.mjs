// A server that creates and checks keys with better-auth's API key plugin:
//     node better-auth.mjs DATABASE-URL PORT KEYS
// POST /create answers 201 with a new key. GET /check answers 200 if the key in `Authorization` is valid.
// It creates the tables, a user and as many keys as KEYS says. It prints one key a line, then an empty line.
import { createServer } from "node:http";

import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import pg from "pg";

const [databaseUrl, port, keys] = process.argv.slice(2);
const auth = betterAuth({
  // Twice as many connections as a process of ours opens at most.
  database: new pg.Pool({ connectionString: databaseUrl, max: 20 }),
  secret: "a secret of the benchmark, of 32 characters or more",
  baseURL: `http://127.0.0.1:${port}`,
  telemetry: { enabled: false },
  plugins: [apiKey({ rateLimit: { enabled: false } })], // all else is as it is by default
});
await (await getMigrations(auth.options)).runMigrations();
const context = await auth.$context;
const user = await context.internalAdapter.createUser({ email: "bench@example.com", name: "bench" });
const create = () => auth.api.createApiKey({ body: { userId: user.id } });

async function answer(request) {
  if (request.method === "POST" && request.url === "/create") {
    return [201, { api_key: (await create()).key }];
  }
  const key = (request.headers.authorization ?? "").replace("Bearer ", "");
  const { valid } = await auth.api.verifyApiKey({ body: { key } });
  return [valid ? 200 : 401, { valid }];
}

const server = createServer(async (request, response) => {
  const [status, body] = await answer(request).catch((error) => [500, { error: String(error) }]);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
});
server.listen(Number(port), "127.0.0.1", async () => {
  for (let i = 0; i < Number(keys); i += 1) console.log((await create()).key);
  console.log();
});
