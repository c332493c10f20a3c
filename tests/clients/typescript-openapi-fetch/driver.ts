import createClient from "openapi-fetch";
import { drive } from "../driver.js";
import type { paths } from "./generated/api.js";
import * as partner from "./partner.js";

// openapi-fetch does not support security schemes, so the cookie is set as a header.
await drive(partner, (baseUrl, Cookie) => createClient<paths>({ baseUrl, headers: { Cookie } }));
