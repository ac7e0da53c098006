// `node prepared.mjs` with DATABASE_URL: postgres.js prepares every statement by default; the same ones go here through
// many connections at once, so that the pooler hands them to server connections that have not seen them.
import postgres from "postgres";

const sql = postgres(process.env.DATABASE_URL, { max: 8 });
const pids = new Set();
let wrong = 0;

const sites = async (level) => {
  const rows = await sql`SELECT min_certification_level AS level FROM dive_sites WHERE min_certification_level = ${level}`;
  if (rows.length === 0 || rows.some((row) => row.level !== level)) wrong += 1;
};
// A transaction holds its server connection, so the statements beside it run on others.
const held = () =>
  sql.begin(async (transaction) => {
    const [{ pid }] = await transaction`SELECT pg_backend_pid() AS pid, ${"x"}::text AS parameter`;
    pids.add(pid);
    await transaction`SELECT pg_sleep(0.05)`;
  });

for (let round = 0; round < 5; round += 1) {
  const levels = Array.from({ length: 12 }, (_, number) => ["OW", "AOW", "Rescue"][number % 3]);
  await Promise.all([held(), held(), held(), ...levels.map(sites)]);
}
const [{ prepared }] = await sql`SELECT count(*)::int AS prepared FROM pg_prepared_statements`;
await sql.end();
console.log(JSON.stringify({ wrong, servers: pids.size, prepared }));
