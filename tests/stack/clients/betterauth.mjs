// `node betterauth.mjs` with DATABASE_URL: Better Auth as maps uses it. A user signs up, signs in, is known by the
// cookie, signs out; then the user goes again. One line of JSON says what was seen.
import { betterAuth } from "better-auth";
import pg from "pg";

process.env.TZ = "UTC"; // the columns are timestamps without zone that hold UTC

const stamps = { createdAt: "created_at", updatedAt: "updated_at" };
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const auth = betterAuth({
  database: pool,
  baseURL: "http://localhost:3000",
  secret: "only-for-this-test-0123456789abcdef",
  emailAndPassword: { enabled: true },
  user: { modelName: "users", fields: { emailVerified: "email_verified", ...stamps } },
  session: {
    modelName: "sessions",
    fields: {
      userId: "user_id",
      expiresAt: "expires_at",
      ipAddress: "ip_address",
      userAgent: "user_agent",
      ...stamps,
    },
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
});

const credentials = { email: `diver-${Date.now()}@example.org`, password: "correct horse battery staple" };
const cookies = (response) =>
  new Headers({ cookie: response.headers.getSetCookie().map((it) => it.split(";")[0]).join("; ") });

const { user } = await auth.api.signUpEmail({ body: { name: "Diver", ...credentials } });
const response = await auth.api.signInEmail({ body: credentials, asResponse: true });
const headers = cookies(response);
const session = await auth.api.getSession({ headers });
const refused = await auth.api
  .signInEmail({ body: { ...credentials, password: "wrong horse" } })
  .then(() => false, (error) => error.status);
await auth.api.signOut({ headers });
const after = await auth.api.getSession({ headers });
const stored = await pool.query("SELECT count(*)::int AS sessions FROM sessions WHERE user_id = $1", [user.id]);
const gone = await pool.query("DELETE FROM users WHERE id = $1", [user.id]);
await pool.end();

console.log(
  JSON.stringify({
    email: session.user.email === credentials.email,
    hoursLeft: (session.session.expiresAt - Date.now()) / 3_600_000,
    refused,
    afterSignOut: after,
    sessions: stored.rows[0].sessions, // the one that sign-up opened
    deleted: gone.rowCount,
  }),
);
