import { drive } from "../driver.js";
import { createClient } from "./generated/client/index.js";
import * as partner from "./partner.js";

await drive(partner, (baseUrl, Cookie) => createClient({ baseUrl, headers: { Cookie } }));
