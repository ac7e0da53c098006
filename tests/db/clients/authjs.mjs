// `node authjs.mjs` with DATABASE_URL: every method of the real @auth/drizzle-adapter 1.11.3 that Auth.js calls, on the
// tables as pgstack generates them for Drizzle. One line of JSON says what was seen.
import { DrizzleAdapter } from "@auth/drizzle-adapter";
import { drizzle } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import * as schema from "./panamia.mjs";

const sql = postgres(process.env.DATABASE_URL, { max: 4 });
const adapter = DrizzleAdapter(drizzle(sql, { schema }), {
  usersTable: schema.users,
  accountsTable: schema.accounts,
  sessionsTable: schema.sessions,
  verificationTokensTable: schema.verificationTokens,
});
const seen = {};
const soon = new Date(Date.now() + 3_600_000);
const later = new Date(Date.now() + 7_200_000);
const email = `ana-${Date.now()}@example.org`;

const user = await adapter.createUser({ id: "ignored", name: "Ana", email, emailVerified: null, image: null });
seen.cuid = /^[a-z][0-9a-z]{23}$/.test(user.id);
seen.stamped = user.createdAt instanceof Date && Math.abs(user.createdAt - Date.now()) < 60_000;
seen.byId = (await adapter.getUser(user.id)).email === email;
seen.byEmail = (await adapter.getUserByEmail(email)).id === user.id;
seen.nobody = await adapter.getUserByEmail("nobody@example.org");

const account = {
  userId: user.id,
  type: "oidc",
  provider: "google",
  providerAccountId: `g-${user.id}`,
  access_token: "access",
  refresh_token: "refresh",
  id_token: "id",
  expires_at: 1_800_000_000,
  token_type: "bearer",
  scope: "openid email",
  session_state: "state",
};
await adapter.linkAccount(account);
seen.byAccount = (await adapter.getUserByAccount(account)).id === user.id;
const stored = await adapter.getAccount(account.providerAccountId, "google");
seen.account = Object.entries(account).every(([name, value]) => stored[name] === value);
seen.linkedTwice = await adapter.linkAccount(account).then(
  () => "taken twice",
  (error) => (error.cause ?? error).code,
);

const sessionToken = `token-${user.id}`;
await adapter.createSession({ sessionToken, userId: user.id, expires: soon });
const found = await adapter.getSessionAndUser(sessionToken);
seen.session = found.user.id === user.id && found.session.expires.getTime() === soon.getTime();
const moved = await adapter.updateSession({ sessionToken, expires: later });
seen.moved = moved.expires.getTime() === later.getTime() && moved.updatedAt > found.session.updatedAt;

const renamed = await adapter.updateUser({ id: user.id, name: "Ana Maria", emailVerified: soon });
seen.renamed = renamed.name === "Ana Maria" && renamed.emailVerified.getTime() === soon.getTime();
seen.touched = renamed.updatedAt > user.updatedAt;

const token = { identifier: email, token: "hash", expires: soon };
await adapter.createVerificationToken(token);
seen.verified = (await adapter.useVerificationToken(token)).expires.getTime() === soon.getTime();
seen.verifiedTwice = await adapter.useVerificationToken(token);

await adapter.unlinkAccount(account);
seen.unlinked = await adapter.getAccount(account.providerAccountId, "google");
await adapter.linkAccount(account);
await adapter.deleteSession(sessionToken);
seen.signedOut = await adapter.getSessionAndUser(sessionToken);
await adapter.createSession({ sessionToken, userId: user.id, expires: soon });
await adapter.deleteUser(user.id);
seen.deleted = await adapter.getUser(user.id);
const [left] = await sql`
  SELECT (SELECT count(*)::int FROM accounts WHERE user_id = ${user.id}) AS accounts,
         (SELECT count(*)::int FROM sessions WHERE user_id = ${user.id}) AS sessions`;
seen.left = left;
await sql.end();
console.log(JSON.stringify(seen));
