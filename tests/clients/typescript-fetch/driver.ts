import { drive } from "../driver.js";
import { Configuration } from "./generated/index.js";
import * as partner from "./partner.js";

await drive(partner, (basePath, cookie) => new Configuration({ basePath, headers: { Cookie: cookie } }));
