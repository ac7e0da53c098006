// `node ids.mjs` with ids as JSON on stdin: which of them the reference implementation takes for no CUID2, and some of its own.
import { createId, isCuid } from "@paralleldrive/cuid2";

let given = "";
for await (const chunk of process.stdin) given += chunk;
const refused = JSON.parse(given).filter((id) => !isCuid(id));
console.log(JSON.stringify({ refused, own: Array.from({ length: 200 }, () => createId()) }));
