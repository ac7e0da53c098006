// Generated from db/apps/panamia/models.py by `make docs`: edit the model, not this file.
//
// NEVER run `drizzle-kit push` against this database: it drops every table, and with a schema filter the whole schema,
// that its own files do not name. The schema changes by migrations only: alembic/versions/panamia.

import { createId } from "@paralleldrive/cuid2";
import { sql } from "drizzle-orm";
import { bigint, boolean, check, foreignKey, index, integer, jsonb, pgSchema, primaryKey, text, timestamp, type PgTableExtraConfigValue, unique, uniqueIndex } from "drizzle-orm/pg-core";

export const panamiaSchema = pgSchema("panamia");

export const contactSubmissions = panamiaSchema.table(
  "contact_submissions",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    name: text("name").notNull(),
    email: text("email").notNull(),
    topic: text("topic"),
    message: text("message").notNull(),
    acknowledged: boolean("acknowledged").notNull().default(false),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    index("ix_contact_submissions_created_at_id").on(table.createdAt, table.id),
  ],
);

export const newsletterSignups = panamiaSchema.table(
  "newsletter_signups",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    email: text("email").notNull(),
    name: text("name"),
    confirmedAt: timestamp("confirmed_at", { withTimezone: true, mode: "date" }),
    unsubscribedAt: timestamp("unsubscribed_at", { withTimezone: true, mode: "date" }),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    index("ix_newsletter_signups_created_at_id").on(table.createdAt, table.id),
    uniqueIndex("uq_newsletter_signups_email").on(sql`lower(email)`),
  ],
);

export const users = panamiaSchema.table(
  "users",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    name: text("name"),
    email: text("email"),
    emailVerified: timestamp("email_verified", { withTimezone: true, mode: "date" }),
    image: text("image"),
    screenname: text("screenname"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    unique("uq_users_email").on(table.email),
    index("ix_users_created_at_id").on(table.createdAt, table.id),
    uniqueIndex("uq_users_screenname").on(sql`lower(screenname)`),
  ],
);

export const verificationTokens = panamiaSchema.table(
  "verification_tokens",
  {
    identifier: text("identifier").notNull(),
    token: text("token").notNull(),
    expires: timestamp("expires", { withTimezone: true, mode: "date" }).notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    primaryKey({ name: "pk_verification_tokens", columns: [table.identifier, table.token] }),
    index("ix_verification_tokens_expires").on(table.expires),
  ],
);

export const accounts = panamiaSchema.table(
  "accounts",
  {
    userId: text("user_id").notNull(),
    type: text("type").notNull(),
    provider: text("provider").notNull(),
    providerAccountId: text("provider_account_id").notNull(),
    refresh_token: text("refresh_token"),
    access_token: text("access_token"),
    expires_at: integer("expires_at"),
    token_type: text("token_type"),
    scope: text("scope"),
    id_token: text("id_token"),
    session_state: text("session_state"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_accounts_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    primaryKey({ name: "pk_accounts", columns: [table.provider, table.providerAccountId] }),
    index("ix_accounts_user_id").on(table.userId),
  ],
);

export const articles = panamiaSchema.table(
  "articles",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    authorId: text("author_id"),
    slug: text("slug").notNull(),
    title: text("title").notNull(),
    content: text("content").notNull(),
    excerpt: text("excerpt"),
    coverImage: text("cover_image"),
    status: text("status").notNull().default("draft"),
    coAuthors: jsonb("co_authors").notNull().default([]),
    reviewedBy: jsonb("reviewed_by").notNull().default([]),
    publishedAt: timestamp("published_at", { withTimezone: true, mode: "date" }),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_articles_co_authors", sql`jsonb_typeof(co_authors) IN ('object', 'array')`),
    check("ck_articles_published_at", sql`status <> 'published' OR published_at IS NOT NULL`),
    check("ck_articles_reviewed_by", sql`jsonb_typeof(reviewed_by) IN ('object', 'array')`),
    check("ck_articles_status", sql`status IN ('draft', 'pending_review', 'revision_needed', 'published', 'removed')`),
    foreignKey({ name: "fk_articles_author_id_users", columns: [table.authorId], foreignColumns: [users.id] }).onDelete("set null"),
    unique("uq_articles_slug").on(table.slug),
    index("ix_articles_author_id_created_at_id").on(table.authorId, table.createdAt, table.id),
    index("ix_articles_published").on(table.publishedAt, table.id).where(sql`status = 'published'`),
  ],
);

export const brevoContacts = panamiaSchema.table(
  "brevo_contacts",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id"),
    email: text("email").notNull(),
    brevoId: bigint("brevo_id", { mode: "number" }),
    lastSyncedAt: timestamp("last_synced_at", { withTimezone: true, mode: "date" }),
    syncError: text("sync_error"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_brevo_contacts_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("set null"),
    unique("uq_brevo_contacts_brevo_id").on(table.brevoId),
    index("ix_brevo_contacts_last_synced_at").on(table.lastSyncedAt),
    index("ix_brevo_contacts_user_id").on(table.userId),
    uniqueIndex("uq_brevo_contacts_email").on(sql`lower(email)`),
  ],
);

export const emailMigrations = panamiaSchema.table(
  "email_migrations",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id").notNull(),
    oldEmail: text("old_email").notNull(),
    newEmail: text("new_email").notNull(),
    tokenHash: text("token_hash").notNull(),
    expiresAt: timestamp("expires_at", { withTimezone: true, mode: "date" }).notNull(),
    completedAt: timestamp("completed_at", { withTimezone: true, mode: "date" }),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_email_migrations_new_email", sql`old_email <> new_email`),
    foreignKey({ name: "fk_email_migrations_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    unique("uq_email_migrations_token_hash").on(table.tokenHash),
    index("ix_email_migrations_expires_at").on(table.expiresAt),
    index("ix_email_migrations_user_id").on(table.userId),
  ],
);

export const intakeForms = panamiaSchema.table(
  "intake_forms",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id"),
    formType: text("form_type").notNull(),
    status: text("status").notNull().default("new"),
    formData: jsonb("form_data").notNull().default({}),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_intake_forms_form_data", sql`jsonb_typeof(form_data) IN ('object', 'array')`),
    check("ck_intake_forms_form_type", sql`form_type IN ('art', 'apparel', 'food', 'goods', 'org', 'services')`),
    check("ck_intake_forms_status", sql`status IN ('new', 'reviewed', 'archived')`),
    foreignKey({ name: "fk_intake_forms_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("set null"),
    index("ix_intake_forms_status_created_at_id").on(table.status, table.createdAt, table.id),
    index("ix_intake_forms_user_id").on(table.userId),
  ],
);

export const mentorSessions = panamiaSchema.table(
  "mentor_sessions",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    mentorId: text("mentor_id").notNull(),
    menteeId: text("mentee_id").notNull(),
    topic: text("topic").notNull(),
    status: text("status").notNull().default("pending"),
    scheduledAt: timestamp("scheduled_at", { withTimezone: true, mode: "date" }).notNull(),
    durationMinutes: integer("duration_minutes").notNull().default(60),
    meetingUrl: text("meeting_url"),
    notes: text("notes"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_mentor_sessions_duration_minutes", sql`duration_minutes BETWEEN 5 AND 480`),
    check("ck_mentor_sessions_not_oneself", sql`mentor_id <> mentee_id`),
    check("ck_mentor_sessions_status", sql`status IN ('pending', 'scheduled', 'in_progress', 'completed', 'cancelled', 'declined')`),
    foreignKey({ name: "fk_mentor_sessions_mentee_id_users", columns: [table.menteeId], foreignColumns: [users.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_mentor_sessions_mentor_id_users", columns: [table.mentorId], foreignColumns: [users.id] }).onDelete("cascade"),
    index("ix_mentor_sessions_mentee_id_created_at_id").on(table.menteeId, table.createdAt, table.id),
    index("ix_mentor_sessions_mentor_id_created_at_id").on(table.mentorId, table.createdAt, table.id),
    uniqueIndex("uq_mentor_sessions_hour").on(table.mentorId, table.scheduledAt).where(sql`status IN ('scheduled', 'in_progress')`),
  ],
);

export const notifications = panamiaSchema.table(
  "notifications",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id").notNull(),
    actorId: text("actor_id"),
    type: text("type").notNull(),
    message: text("message").notNull(),
    url: text("url"),
    readAt: timestamp("read_at", { withTimezone: true, mode: "date" }),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_notifications_type", sql`type IN ('follow', 'like', 'mention', 'reply', 'article', 'mentoring', 'message', 'system')`),
    foreignKey({ name: "fk_notifications_actor_id_users", columns: [table.actorId], foreignColumns: [users.id] }).onDelete("set null"),
    foreignKey({ name: "fk_notifications_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    index("ix_notifications_actor_id").on(table.actorId),
    index("ix_notifications_unread").on(table.userId, table.createdAt, table.id).where(sql`read_at IS NULL`),
    index("ix_notifications_user_id_created_at_id").on(table.userId, table.createdAt, table.id),
  ],
);

export const oAuthVerifications = panamiaSchema.table(
  "o_auth_verifications",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id"),
    email: text("email").notNull(),
    provider: text("provider").notNull(),
    providerAccountId: text("provider_account_id").notNull(),
    tokenHash: text("token_hash").notNull(),
    expiresAt: timestamp("expires_at", { withTimezone: true, mode: "date" }).notNull(),
    verifiedAt: timestamp("verified_at", { withTimezone: true, mode: "date" }),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_o_auth_verifications_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("set null"),
    unique("uq_o_auth_verifications_provider_provider_account_id").on(table.provider, table.providerAccountId),
    unique("uq_o_auth_verifications_token_hash").on(table.tokenHash),
    index("ix_o_auth_verifications_expires_at").on(table.expiresAt),
    index("ix_o_auth_verifications_user_id").on(table.userId),
  ],
);

export const profiles = panamiaSchema.table(
  "profiles",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id").notNull(),
    slug: text("slug").notNull(),
    name: text("name").notNull(),
    email: text("email"),
    phoneNumber: text("phone_number"),
    pronouns: text("pronouns"),
    isActive: boolean("is_active").notNull().default(true),
    socials: jsonb("socials").notNull().default({}),
    hours: jsonb("hours").notNull().default({}),
    categories: jsonb("categories").notNull().default([]),
    locations: jsonb("locations").notNull().default([]),
    images: jsonb("images").notNull().default({}),
    mentoring: jsonb("mentoring").notNull().default({}),
    verification: jsonb("verification").notNull().default({}),
    roles: jsonb("roles").notNull().default([]),
    descriptions: jsonb("descriptions").notNull().default({}),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_profiles_categories", sql`jsonb_typeof(categories) IN ('object', 'array')`),
    check("ck_profiles_descriptions", sql`jsonb_typeof(descriptions) IN ('object', 'array')`),
    check("ck_profiles_hours", sql`jsonb_typeof(hours) IN ('object', 'array')`),
    check("ck_profiles_images", sql`jsonb_typeof(images) IN ('object', 'array')`),
    check("ck_profiles_locations", sql`jsonb_typeof(locations) IN ('object', 'array')`),
    check("ck_profiles_mentoring", sql`jsonb_typeof(mentoring) IN ('object', 'array')`),
    check("ck_profiles_roles", sql`jsonb_typeof(roles) IN ('object', 'array')`),
    check("ck_profiles_socials", sql`jsonb_typeof(socials) IN ('object', 'array')`),
    check("ck_profiles_verification", sql`jsonb_typeof(verification) IN ('object', 'array')`),
    foreignKey({ name: "fk_profiles_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    unique("uq_profiles_slug").on(table.slug),
    unique("uq_profiles_user_id").on(table.userId),
    index("ix_profiles_categories").using("gin", table.categories.op("jsonb_path_ops")),
    index("ix_profiles_created_at_id").on(table.createdAt, table.id),
    index("ix_profiles_name").using("gin", table.name.op("gin_trgm_ops")),
  ],
);

export const screennameHistory = panamiaSchema.table(
  "screenname_history",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id").notNull(),
    screenname: text("screenname").notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_screenname_history_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    index("ix_screenname_history_screenname").on(sql`lower(screenname)`, table.createdAt, table.id),
    index("ix_screenname_history_user_id_created_at_id").on(table.userId, table.createdAt, table.id),
  ],
);

export const sessions = panamiaSchema.table(
  "sessions",
  {
    sessionToken: text("session_token").primaryKey(),
    userId: text("user_id").notNull(),
    expires: timestamp("expires", { withTimezone: true, mode: "date" }).notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_sessions_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    index("ix_sessions_expires").on(table.expires),
    index("ix_sessions_user_id").on(table.userId),
  ],
);

export const socialActors = panamiaSchema.table(
  "social_actors",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id"),
    username: text("username").notNull(),
    domain: text("domain").notNull(),
    uri: text("uri").notNull(),
    inboxUrl: text("inbox_url").notNull(),
    outboxUrl: text("outbox_url"),
    sharedInboxUrl: text("shared_inbox_url"),
    displayName: text("display_name"),
    summary: text("summary"),
    iconUrl: text("icon_url"),
    publicKey: text("public_key"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_social_actors_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    unique("uq_social_actors_uri").on(table.uri),
    unique("uq_social_actors_user_id").on(table.userId),
    uniqueIndex("uq_social_actors_handle").on(sql`lower(username)`, sql`lower(domain)`),
  ],
);

export const userFollows = panamiaSchema.table(
  "user_follows",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    followerId: text("follower_id").notNull(),
    followedId: text("followed_id").notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_user_follows_not_oneself", sql`follower_id <> followed_id`),
    foreignKey({ name: "fk_user_follows_followed_id_users", columns: [table.followedId], foreignColumns: [users.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_user_follows_follower_id_users", columns: [table.followerId], foreignColumns: [users.id] }).onDelete("cascade"),
    unique("uq_user_follows_follower_id_followed_id").on(table.followerId, table.followedId),
    index("ix_user_follows_followed_id_created_at_id").on(table.followedId, table.createdAt, table.id),
  ],
);

export const userLists = panamiaSchema.table(
  "user_lists",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id").notNull(),
    name: text("name").notNull(),
    description: text("description"),
    isPublic: boolean("is_public").notNull().default(false),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_user_lists_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    uniqueIndex("uq_user_lists_name").on(table.userId, sql`lower(name)`),
  ],
);

export const articleAnnouncements = panamiaSchema.table(
  "article_announcements",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    articleId: text("article_id").notNull(),
    channel: text("channel").notNull(),
    announcedBy: text("announced_by"),
    message: text("message"),
    announcedAt: timestamp("announced_at", { withTimezone: true, mode: "date" }),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_article_announcements_channel", sql`channel IN ('site', 'email', 'social')`),
    foreignKey({ name: "fk_article_announcements_announced_by_users", columns: [table.announcedBy], foreignColumns: [users.id] }).onDelete("set null"),
    foreignKey({ name: "fk_article_announcements_article_id_articles", columns: [table.articleId], foreignColumns: [articles.id] }).onDelete("cascade"),
    unique("uq_article_announcements_article_id_channel").on(table.articleId, table.channel),
    index("ix_article_announcements_announced_by").on(table.announcedBy),
  ],
);

export const interactions = panamiaSchema.table(
  "interactions",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    userId: text("user_id"),
    kind: text("kind").notNull(),
    profileId: text("profile_id"),
    articleId: text("article_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_interactions_kind", sql`kind IN ('view', 'save', 'share', 'contact', 'like')`),
    check("ck_interactions_target", sql`num_nonnulls(profile_id, article_id) = 1`),
    foreignKey({ name: "fk_interactions_article_id_articles", columns: [table.articleId], foreignColumns: [articles.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_interactions_profile_id_profiles", columns: [table.profileId], foreignColumns: [profiles.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_interactions_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("set null"),
    index("ix_interactions_article_id_kind").on(table.articleId, table.kind),
    index("ix_interactions_profile_id_kind").on(table.profileId, table.kind),
    index("ix_interactions_user_id_created_at_id").on(table.userId, table.createdAt, table.id),
  ],
);

export const socialFollows = panamiaSchema.table(
  "social_follows",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    actorId: text("actor_id").notNull(),
    targetActorId: text("target_actor_id").notNull(),
    status: text("status").notNull().default("pending"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_social_follows_not_oneself", sql`actor_id <> target_actor_id`),
    check("ck_social_follows_status", sql`status IN ('pending', 'accepted', 'rejected')`),
    foreignKey({ name: "fk_social_follows_actor_id_social_actors", columns: [table.actorId], foreignColumns: [socialActors.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_social_follows_target_actor_id_social_actors", columns: [table.targetActorId], foreignColumns: [socialActors.id] }).onDelete("cascade"),
    unique("uq_social_follows_actor_id_target_actor_id").on(table.actorId, table.targetActorId),
    index("ix_social_follows_target_actor_id_status").on(table.targetActorId, table.status),
  ],
);

export const socialStatuses = panamiaSchema.table(
  "social_statuses",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    actorId: text("actor_id").notNull(),
    uri: text("uri").notNull(),
    content: text("content").notNull(),
    contentWarning: text("content_warning"),
    visibility: text("visibility").notNull().default("public"),
    inReplyToId: text("in_reply_to_id"),
    articleId: text("article_id"),
    recipientTo: jsonb("recipient_to").notNull().default([]),
    recipientCc: jsonb("recipient_cc").notNull().default([]),
    publishedAt: timestamp("published_at", { withTimezone: true, mode: "date" }),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_social_statuses_recipient_cc", sql`jsonb_typeof(recipient_cc) IN ('object', 'array')`),
    check("ck_social_statuses_recipient_to", sql`jsonb_typeof(recipient_to) IN ('object', 'array')`),
    check("ck_social_statuses_visibility", sql`visibility IN ('public', 'unlisted', 'followers', 'direct')`),
    foreignKey({ name: "fk_social_statuses_actor_id_social_actors", columns: [table.actorId], foreignColumns: [socialActors.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_social_statuses_article_id_articles", columns: [table.articleId], foreignColumns: [articles.id] }).onDelete("set null"),
    foreignKey({ name: "fk_social_statuses_in_reply_to_id_social_statuses", columns: [table.inReplyToId], foreignColumns: [table.id] }).onDelete("set null"),
    unique("uq_social_statuses_uri").on(table.uri),
    index("ix_social_statuses_actor_id_created_at_id").on(table.actorId, table.createdAt, table.id),
    index("ix_social_statuses_article_id").on(table.articleId),
    index("ix_social_statuses_in_reply_to_id").on(table.inReplyToId),
    index("ix_social_statuses_public").on(table.createdAt, table.id).where(sql`visibility = 'public'`),
  ],
);

export const userListMembers = panamiaSchema.table(
  "user_list_members",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    listId: text("list_id").notNull(),
    userId: text("user_id").notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_user_list_members_list_id_user_lists", columns: [table.listId], foreignColumns: [userLists.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_user_list_members_user_id_users", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    unique("uq_user_list_members_list_id_user_id").on(table.listId, table.userId),
    index("ix_user_list_members_user_id").on(table.userId),
  ],
);

export const socialAttachments = panamiaSchema.table(
  "social_attachments",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    statusId: text("status_id").notNull(),
    position: integer("position").notNull().default(0),
    url: text("url").notNull(),
    mediaType: text("media_type").notNull(),
    description: text("description"),
    width: integer("width"),
    height: integer("height"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_social_attachments_position", sql`position >= 0`),
    check("ck_social_attachments_size", sql`width > 0 AND height > 0`),
    foreignKey({ name: "fk_social_attachments_status_id_social_statuses", columns: [table.statusId], foreignColumns: [socialStatuses.id] }).onDelete("cascade"),
    unique("uq_social_attachments_status_id_position").on(table.statusId, table.position),
  ],
);

export const socialLikes = panamiaSchema.table(
  "social_likes",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    statusId: text("status_id").notNull(),
    actorId: text("actor_id").notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_social_likes_actor_id_social_actors", columns: [table.actorId], foreignColumns: [socialActors.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_social_likes_status_id_social_statuses", columns: [table.statusId], foreignColumns: [socialStatuses.id] }).onDelete("cascade"),
    unique("uq_social_likes_status_id_actor_id").on(table.statusId, table.actorId),
    index("ix_social_likes_actor_id").on(table.actorId),
  ],
);

export const socialRecipients = panamiaSchema.table(
  "social_recipients",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    statusId: text("status_id").notNull(),
    actorId: text("actor_id").notNull(),
    kind: text("kind").notNull().default("to"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_social_recipients_kind", sql`kind IN ('to', 'cc')`),
    foreignKey({ name: "fk_social_recipients_actor_id_social_actors", columns: [table.actorId], foreignColumns: [socialActors.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_social_recipients_status_id_social_statuses", columns: [table.statusId], foreignColumns: [socialStatuses.id] }).onDelete("cascade"),
    unique("uq_social_recipients_status_id_actor_id").on(table.statusId, table.actorId),
    index("ix_social_recipients_actor_id_created_at_id").on(table.actorId, table.createdAt, table.id),
  ],
);

export const socialTags = panamiaSchema.table(
  "social_tags",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    statusId: text("status_id").notNull(),
    kind: text("kind").notNull(),
    name: text("name").notNull(),
    href: text("href"),
    actorId: text("actor_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_social_tags_kind", sql`kind IN ('hashtag', 'mention')`),
    foreignKey({ name: "fk_social_tags_actor_id_social_actors", columns: [table.actorId], foreignColumns: [socialActors.id] }).onDelete("set null"),
    foreignKey({ name: "fk_social_tags_status_id_social_statuses", columns: [table.statusId], foreignColumns: [socialStatuses.id] }).onDelete("cascade"),
    unique("uq_social_tags_status_id_kind_name").on(table.statusId, table.kind, table.name),
    index("ix_social_tags_actor_id").on(table.actorId),
    index("ix_social_tags_hashtag").on(sql`lower(name)`, table.createdAt, table.id).where(sql`kind = 'hashtag'`),
  ],
);

export type ContactSubmission = typeof contactSubmissions.$inferSelect;
export type NewContactSubmission = typeof contactSubmissions.$inferInsert;
export type NewsletterSignup = typeof newsletterSignups.$inferSelect;
export type NewNewsletterSignup = typeof newsletterSignups.$inferInsert;
export type User = typeof users.$inferSelect;
export type NewUser = typeof users.$inferInsert;
export type VerificationToken = typeof verificationTokens.$inferSelect;
export type NewVerificationToken = typeof verificationTokens.$inferInsert;
export type Account = typeof accounts.$inferSelect;
export type NewAccount = typeof accounts.$inferInsert;
export type Article = typeof articles.$inferSelect;
export type NewArticle = typeof articles.$inferInsert;
export type BrevoContact = typeof brevoContacts.$inferSelect;
export type NewBrevoContact = typeof brevoContacts.$inferInsert;
export type EmailMigration = typeof emailMigrations.$inferSelect;
export type NewEmailMigration = typeof emailMigrations.$inferInsert;
export type IntakeForm = typeof intakeForms.$inferSelect;
export type NewIntakeForm = typeof intakeForms.$inferInsert;
export type MentorSession = typeof mentorSessions.$inferSelect;
export type NewMentorSession = typeof mentorSessions.$inferInsert;
export type Notification = typeof notifications.$inferSelect;
export type NewNotification = typeof notifications.$inferInsert;
export type OAuthVerification = typeof oAuthVerifications.$inferSelect;
export type NewOAuthVerification = typeof oAuthVerifications.$inferInsert;
export type Profile = typeof profiles.$inferSelect;
export type NewProfile = typeof profiles.$inferInsert;
export type ScreennameHistory = typeof screennameHistory.$inferSelect;
export type NewScreennameHistory = typeof screennameHistory.$inferInsert;
export type Session = typeof sessions.$inferSelect;
export type NewSession = typeof sessions.$inferInsert;
export type SocialActor = typeof socialActors.$inferSelect;
export type NewSocialActor = typeof socialActors.$inferInsert;
export type UserFollow = typeof userFollows.$inferSelect;
export type NewUserFollow = typeof userFollows.$inferInsert;
export type UserList = typeof userLists.$inferSelect;
export type NewUserList = typeof userLists.$inferInsert;
export type ArticleAnnouncement = typeof articleAnnouncements.$inferSelect;
export type NewArticleAnnouncement = typeof articleAnnouncements.$inferInsert;
export type Interaction = typeof interactions.$inferSelect;
export type NewInteraction = typeof interactions.$inferInsert;
export type SocialFollow = typeof socialFollows.$inferSelect;
export type NewSocialFollow = typeof socialFollows.$inferInsert;
export type SocialStatus = typeof socialStatuses.$inferSelect;
export type NewSocialStatus = typeof socialStatuses.$inferInsert;
export type UserListMember = typeof userListMembers.$inferSelect;
export type NewUserListMember = typeof userListMembers.$inferInsert;
export type SocialAttachment = typeof socialAttachments.$inferSelect;
export type NewSocialAttachment = typeof socialAttachments.$inferInsert;
export type SocialLike = typeof socialLikes.$inferSelect;
export type NewSocialLike = typeof socialLikes.$inferInsert;
export type SocialRecipient = typeof socialRecipients.$inferSelect;
export type NewSocialRecipient = typeof socialRecipients.$inferInsert;
export type SocialTag = typeof socialTags.$inferSelect;
export type NewSocialTag = typeof socialTags.$inferInsert;
