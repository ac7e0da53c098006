// Generated from db/apps/dovvybuddy/models.py by `make docs`: edit the model, not this file.
//
// NEVER run `drizzle-kit push` against this database: it drops every table, and with a schema filter the whole schema,
// that its own files do not name. The schema changes by migrations only: alembic/versions/dovvybuddy.

import { sql } from "drizzle-orm";
import { boolean, check, foreignKey, index, integer, jsonb, pgSchema, text, timestamp, type PgTableExtraConfigValue, uuid, vector } from "drizzle-orm/pg-core";

export const dovvybuddySchema = pgSchema("dovvybuddy");

export const contentEmbeddings = dovvybuddySchema.table(
  "content_embeddings",
  {
    id: uuid("id").primaryKey().default(sql`uuid_generate_v4()`),
    contentPath: text("content_path").notNull(),
    chunkText: text("chunk_text").notNull(),
    embedding: vector("embedding", { dimensions: 1536 }).notNull(),
    metadata: jsonb("metadata").notNull().default({}),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_content_embeddings_metadata", sql`jsonb_typeof(metadata) = 'object'`),
    index("ix_content_embeddings_embedding").using("hnsw", table.embedding.op("vector_cosine_ops")),
  ],
);

export const destinations = dovvybuddySchema.table(
  "destinations",
  {
    id: uuid("id").primaryKey().default(sql`uuid_generate_v4()`),
    name: text("name").notNull(),
    country: text("country").notNull(),
    isActive: boolean("is_active").notNull().default(true),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
);

export const leads = dovvybuddySchema.table(
  "leads",
  {
    id: uuid("id").primaryKey().default(sql`uuid_generate_v4()`),
    type: text("type").notNull(),
    diverProfile: jsonb("diver_profile").notNull().default({}),
    requestDetails: jsonb("request_details").notNull().default({}),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_leads_diver_profile", sql`jsonb_typeof(diver_profile) = 'object'`),
    check("ck_leads_request_details", sql`jsonb_typeof(request_details) = 'object'`),
    check("ck_leads_type", sql`type IN ('training', 'trip')`),
  ],
);

export const sessions = dovvybuddySchema.table(
  "sessions",
  {
    id: uuid("id").primaryKey().default(sql`uuid_generate_v4()`),
    diverProfile: jsonb("diver_profile"),
    conversationHistory: jsonb("conversation_history").notNull().default([]),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    expiresAt: timestamp("expires_at", { withTimezone: true, mode: "date" }).notNull().default(sql`now() + interval '24 hours'`),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_sessions_conversation_history", sql`jsonb_typeof(conversation_history) = 'array'`),
    check("ck_sessions_diver_profile", sql`jsonb_typeof(diver_profile) = 'object'`),
    index("ix_sessions_expires_at").on(table.expiresAt),
  ],
);

export const diveSites = dovvybuddySchema.table(
  "dive_sites",
  {
    id: uuid("id").primaryKey().default(sql`uuid_generate_v4()`),
    destinationId: uuid("destination_id").notNull(),
    name: text("name").notNull(),
    description: text("description"),
    minCertificationLevel: text("min_certification_level").notNull(),
    minLoggedDives: integer("min_logged_dives"),
    difficultyBand: text("difficulty_band").notNull(),
    accessType: text("access_type").notNull(),
    isActive: boolean("is_active").notNull().default(true),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_dive_sites_access_type", sql`access_type IN ('shore', 'boat')`),
    check("ck_dive_sites_difficulty_band", sql`difficulty_band IN ('beginner', 'intermediate', 'advanced')`),
    check("ck_dive_sites_min_certification_level", sql`min_certification_level IN ('OW', 'AOW', 'Rescue')`),
    check("ck_dive_sites_min_logged_dives", sql`min_logged_dives >= 0`),
    foreignKey({ name: "fk_dive_sites_destination_id_destinations", columns: [table.destinationId], foreignColumns: [destinations.id] }).onDelete("restrict"),
    index("ix_dive_sites_destination_id").on(table.destinationId),
    index("ix_dive_sites_name").using("gin", table.name.op("gin_trgm_ops")),
  ],
);

export type ContentEmbedding = typeof contentEmbeddings.$inferSelect;
export type NewContentEmbedding = typeof contentEmbeddings.$inferInsert;
export type Destination = typeof destinations.$inferSelect;
export type NewDestination = typeof destinations.$inferInsert;
export type Lead = typeof leads.$inferSelect;
export type NewLead = typeof leads.$inferInsert;
export type Session = typeof sessions.$inferSelect;
export type NewSession = typeof sessions.$inferInsert;
export type DiveSite = typeof diveSites.$inferSelect;
export type NewDiveSite = typeof diveSites.$inferInsert;
