import createClient from "openapi-fetch";
import { drive } from "../driver.js";
import type { paths } from "./generated/api.js";
import * as partner from "./partner.js";

// openapi-fetch itself knows nothing of security schemes.
await drive(partner, (baseUrl, Cookie) => createClient<paths>({ baseUrl, headers: { Cookie } }));
