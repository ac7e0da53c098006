// `node drizzlecheck.mjs APP [UNSEEN ...]` with DATABASE_URL: what drizzle-kit would change to make the database equal to
// the generated definitions without the constants UNSEEN, as JSON in the last line. Nothing is applied.
import { readFileSync } from "node:fs";
import Module, { createRequire } from "node:module";
import { dirname } from "node:path";
import pg from "pg";

// drizzle-kit's own comparison forgets the parameters of one of its queries, which then fails wherever a primary key has
// two columns: its text is read with that one call mended
const path = createRequire(import.meta.url).resolve("drizzle-kit/api");
const broken = "drizzleInstance.execute(sql.raw(query))";
const text = readFileSync(path, "utf8");
if (!text.includes(broken)) throw new Error(`drizzle-kit has no "${broken}" any more: load it as it is`);
const kit = new Module(path);
Object.assign(kit, { filename: path, paths: Module._nodeModulePaths(dirname(path)) });
kit._compile(text.replaceAll(broken, "drizzleInstance.execute(query, params)"), path);

const [app, ...unseen] = process.argv.slice(2);
const wanted = Object.entries(await import(`./${app}.mjs`)).filter(([name]) => !unseen.includes(name));
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const database = { execute: (query, parameters) => pool.query(query, parameters) };
const { statementsToExecute } = await kit.exports.pushSchema(Object.fromEntries(wanted), database, [app]);
await pool.end();
console.log(`\n${JSON.stringify(statementsToExecute)}`);
