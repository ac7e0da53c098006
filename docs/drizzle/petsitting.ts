// Generated from db/apps/petsitting/models.py by `make docs`: edit the model, not this file.
//
// NEVER run `drizzle-kit push` against this database: it drops every table, and with a schema filter the whole schema,
// that its own files do not name. The schema changes by migrations only: alembic/versions/petsitting.

import { createId } from "@paralleldrive/cuid2";
import { sql } from "drizzle-orm";
import { boolean, check, date, foreignKey, index, integer, pgSchema, text, timestamp, type PgTableExtraConfigValue, unique } from "drizzle-orm/pg-core";
import * as panamia from "./panamia";

export const petsittingSchema = pgSchema("petsitting");

export const listings = petsittingSchema.table(
  "listings",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    sitterId: text("sitter_id").notNull(),
    title: text("title").notNull(),
    description: text("description"),
    priceCents: integer("price_cents").notNull(),
    isActive: boolean("is_active").notNull().default(true),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_listings_price_cents", sql`price_cents >= 0`),
    foreignKey({ name: "fk_listings_sitter_id_users", columns: [table.sitterId], foreignColumns: [panamia.users.id] }).onDelete("cascade"),
    unique("uq_listings_id_sitter_id").on(table.id, table.sitterId),
    index("ix_listings_sitter_id_created_at_id").on(table.sitterId, table.createdAt, table.id),
  ],
);

export const bookings = petsittingSchema.table(
  "bookings",
  {
    id: text("id").primaryKey().$defaultFn(() => createId()),
    ownerId: text("owner_id").notNull(),
    sitterId: text("sitter_id").notNull(),
    listingId: text("listing_id").notNull(),
    status: text("status").notNull().default("requested"),
    startsOn: date("starts_on").notNull(),
    endsOn: date("ends_on").notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_bookings_days", sql`ends_on >= starts_on`),
    check("ck_bookings_not_oneself", sql`owner_id <> sitter_id`),
    check("ck_bookings_status", sql`status IN ('requested', 'confirmed', 'declined', 'cancelled', 'completed')`),
    foreignKey({ name: "fk_bookings_listing_id_sitter_id_listings", columns: [table.listingId, table.sitterId], foreignColumns: [listings.id, listings.sitterId] }).onDelete("cascade"),
    foreignKey({ name: "fk_bookings_owner_id_users", columns: [table.ownerId], foreignColumns: [panamia.users.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_bookings_sitter_id_users", columns: [table.sitterId], foreignColumns: [panamia.users.id] }).onDelete("cascade"),
    index("ix_bookings_listing_id_sitter_id_starts_on").on(table.listingId, table.sitterId, table.startsOn),
    index("ix_bookings_owner_id_created_at_id").on(table.ownerId, table.createdAt, table.id),
    index("ix_bookings_sitter_id_created_at_id").on(table.sitterId, table.createdAt, table.id),
  ],
);

export type Listing = typeof listings.$inferSelect;
export type NewListing = typeof listings.$inferInsert;
export type Booking = typeof bookings.$inferSelect;
export type NewBooking = typeof bookings.$inferInsert;
