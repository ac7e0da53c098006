// `node sites.mjs pg|postgres` with DATABASE_URL: what a driver sees with the URL as it is, as one line of JSON.
import pg from "pg";
import postgres from "postgres";

const QUERY =
  "SELECT (SELECT count(*)::int FROM destinations) AS destinations, (SELECT count(*)::int FROM dive_sites) AS sites";

const drivers = {
  async pg(url) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query(QUERY);
    await client.end();
    return rows[0];
  },
  async postgres(url) {
    const sql = postgres(url, { max: 1, connect_timeout: 10 });
    const [row] = await sql.unsafe(QUERY);
    await sql.end();
    return row;
  },
};

try {
  console.log(JSON.stringify(await drivers[process.argv[2]](process.env.DATABASE_URL)));
} catch (error) {
  console.error(error.code ?? "", error.message);
  process.exit(1);
}
