// `node betterauth.mjs pg` or `drizzle` with DATABASE_URL: Better Auth as maps uses it, with node-postgres or with its
// Drizzle adapter on our definitions, from sign-up to the user's own deletion, and what its own check of the schema
// says. One line of JSON says what was seen.
import { betterAuth } from "better-auth";
import { drizzleAdapter } from "better-auth/adapters/drizzle";
import { getAuthTables } from "better-auth/db";
import { getMigrations } from "better-auth/db/migration";
import { drizzle } from "drizzle-orm/postgres-js";
import pg from "pg";
import postgres from "postgres";
import * as schema from "./maps.mjs";

const byDrizzle = process.argv[2] === "drizzle";
// the columns are timestamps without zone that hold UTC: Drizzle knows it, node-postgres must be told
process.env.TZ = byDrizzle ? "America/Cancun" : "UTC";

const stamps = { createdAt: "created_at", updatedAt: "updated_at" };
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
const sql = postgres(process.env.DATABASE_URL, { max: 4 });
const common = {
  baseURL: "http://localhost:3000",
  secret: "only-for-this-test-0123456789abcdef",
  emailAndPassword: { enabled: true },
  logger: { disabled: true },
};
const names = {
  user: {
    modelName: "users",
    fields: { emailVerified: "email_verified", ...stamps },
    deleteUser: { enabled: true },
  },
  session: {
    modelName: "sessions",
    fields: { userId: "user_id", expiresAt: "expires_at", ipAddress: "ip_address", userAgent: "user_agent", ...stamps },
  },
  account: {
    modelName: "accounts",
    fields: {
      accountId: "account_id",
      providerId: "provider_id",
      userId: "user_id",
      accessToken: "access_token",
      refreshToken: "refresh_token",
      idToken: "id_token",
      accessTokenExpiresAt: "access_token_expires_at",
      refreshTokenExpiresAt: "refresh_token_expires_at",
      ...stamps,
    },
  },
  verification: { modelName: "verifications", fields: { expiresAt: "expires_at", ...stamps } },
};
const options = byDrizzle
  ? {
      ...common,
      database: drizzleAdapter(drizzle(sql, { schema }), { provider: "pg", usePlural: true, schema }),
      user: { deleteUser: { enabled: true } },
    }
  : { ...common, ...names, database: pool };
const auth = betterAuth(options);
const seen = {};

if (byDrizzle) {
  const tables = Object.values(getAuthTables(options)).map((it) => [`${it.modelName}s`, ["id", ...Object.keys(it.fields)]]);
  const missing = (table, fields) => fields.filter((it) => !schema[table][it]).map((it) => [table, [it]]);
  seen.missing = {
    tables: tables.map(([table]) => table).filter((it) => !schema[it]),
    columns: tables.flatMap(([table, fields]) => (schema[table] ? missing(table, fields) : [])),
  };
} else {
  const { toBeCreated, toBeAdded } = await getMigrations(options);
  const columns = toBeAdded.map((it) => [it.table, Object.keys(it.fields)]);
  seen.missing = { tables: toBeCreated.map((it) => it.table), columns };
}

const credentials = { email: `diver-${Date.now()}@example.org`, password: "correct horse battery staple" };
const cookies = (response) =>
  new Headers({ cookie: response.headers.getSetCookie().map((it) => it.split(";")[0]).join("; ") });
const refusal = (promise) => promise.then(() => "accepted", (error) => error.body?.code ?? error.status);

const { user } = await auth.api.signUpEmail({ body: { name: "Diver", ...credentials } });
seen.twice = await refusal(auth.api.signUpEmail({ body: { name: "Diver", ...credentials } }));
seen.wrong = await refusal(auth.api.signInEmail({ body: { ...credentials, password: "wrong horse" } }));
const response = await auth.api.signInEmail({ body: credentials, asResponse: true });
const headers = cookies(response);
const session = await auth.api.getSession({ headers });
seen.session = session.user.id === user.id && session.user.email === credentials.email;
seen.hoursLeft = (session.session.expiresAt - Date.now()) / 3_600_000;

const context = await auth.$context;
await context.internalAdapter.linkAccount({
  userId: user.id,
  providerId: "google",
  accountId: `g-${user.id}`,
  accessToken: "access",
  refreshToken: "refresh",
  accessTokenExpiresAt: new Date(Date.now() + 3_600_000),
  scope: "openid,email",
});
const accounts = await auth.api.listUserAccounts({ headers });
seen.accounts = accounts.map((it) => it.providerId).sort();
await auth.api.unlinkAccount({ headers, body: { accountId: accounts.find((it) => it.providerId === "google").id } });
seen.unlinked = (await auth.api.listUserAccounts({ headers })).map((it) => it.providerId);

const renamed = await auth.api.updateUser({ headers, body: { name: "Free Diver" } });
seen.renamed = renamed.status;
await context.internalAdapter.createVerificationValue({
  identifier: "reset",
  value: user.id,
  expiresAt: new Date(Date.now() + 3_600_000),
});
seen.verification = (await context.internalAdapter.findVerificationValue("reset")).value === user.id;
await pool.query("DELETE FROM verifications WHERE identifier = 'reset'");

const other = cookies(await auth.api.signInEmail({ body: credentials, asResponse: true }));
await auth.api.signOut({ headers: other });
seen.afterSignOut = await auth.api.getSession({ headers: other });
seen.stillIn = (await auth.api.getSession({ headers })).user.name;

seen.deleted = (await auth.api.deleteUser({ headers, body: { password: credentials.password } })).success;
const left = await pool.query(
  `SELECT (SELECT count(*)::int FROM users WHERE id = $1) AS users,
          (SELECT count(*)::int FROM sessions WHERE user_id = $1) AS sessions,
          (SELECT count(*)::int FROM accounts WHERE user_id = $1) AS accounts`,
  [user.id],
);
seen.left = left.rows[0];
await Promise.all([pool.end(), sql.end()]);
console.log(JSON.stringify(seen));
