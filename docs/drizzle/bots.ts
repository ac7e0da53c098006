// Generated from db/apps/bots/models.py by `make docs`: edit the model, not this file.
//
// NEVER run `drizzle-kit push` against this database: it drops every table, and with a schema filter the whole schema,
// that its own files do not name. The schema changes by migrations only: alembic/versions/bots.

import { sql } from "drizzle-orm";
import { boolean, check, customType, foreignKey, index, integer, jsonb, pgSchema, primaryKey, text, timestamp, type PgTableExtraConfigValue, unique, uniqueIndex, uuid } from "drizzle-orm/pg-core";

export const botsSchema = pgSchema("bots");

const inetType = customType<{ data: string }>({ dataType: () => "inet" });

const byteaType = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });

const tsvectorType = customType<{ data: string }>({ dataType: () => "tsvector" });

export const credentialType = botsSchema.enum("credential_type", ["password", "api_key", "oauth_token", "cookie", "certificate"]);

export const memberStatus = botsSchema.enum("member_status", ["invited", "active", "suspended"]);

export const organizationPlan = botsSchema.enum("organization_plan", ["free", "pro", "enterprise"]);

export const taskStatus = botsSchema.enum("task_status", ["open", "in_progress", "done", "cancelled"]);

export const taskPriority = botsSchema.enum("task_priority", ["low", "normal", "high", "urgent"]);

export const userStatus = botsSchema.enum("user_status", ["active", "suspended"]);

export const workflowStatus = botsSchema.enum("workflow_status", ["draft", "active", "paused", "archived"]);

export const activityAction = botsSchema.enum("activity_action", ["created", "updated", "deleted", "restored", "invited", "signed_in", "signed_out", "ran", "exported", "viewed_secret"]);

export const notificationType = botsSchema.enum("notification_type", ["info", "success", "warning", "error", "task"]);

export const runStatus = botsSchema.enum("run_status", ["queued", "running", "succeeded", "failed", "cancelled", "timed_out"]);

export const runTrigger = botsSchema.enum("run_trigger", ["manual", "schedule", "api", "workflow"]);

export const logLevel = botsSchema.enum("log_level", ["debug", "info", "warning", "error"]);

export const recordingStatus = botsSchema.enum("recording_status", ["recording", "complete", "failed"]);

export const apiKeysHistory = botsSchema.table(
  "api_keys_history",
  {
    id: uuid("id").notNull(),
    name: text("name"),
    prefix: text("prefix"),
    scopes: text("scopes").array(),
    lastUsedAt: timestamp("last_used_at", { withTimezone: true, mode: "date" }),
    expiresAt: timestamp("expires_at", { withTimezone: true, mode: "date" }),
    revokedAt: timestamp("revoked_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id"),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_api_keys_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_api_keys_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_api_keys_history", columns: [table.id, table.validFrom] }),
    index("ix_api_keys_history_valid_to").on(table.organizationId, table.validTo),
  ],
);

export const botsHistory = botsSchema.table(
  "bots_history",
  {
    id: uuid("id").notNull(),
    createdById: uuid("created_by_id"),
    name: text("name"),
    description: text("description"),
    slug: text("slug"),
    isActive: boolean("is_active"),
    schedule: text("schedule"),
    config: jsonb("config"),
    lastRunAt: timestamp("last_run_at", { withTimezone: true, mode: "date" }),
    nextRunAt: timestamp("next_run_at", { withTimezone: true, mode: "date" }),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id"),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_bots_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_bots_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_bots_history", columns: [table.id, table.validFrom] }),
    index("ix_bots_history_valid_to").on(table.organizationId, table.validTo),
  ],
);

export const credentialsHistory = botsSchema.table(
  "credentials_history",
  {
    id: uuid("id").notNull(),
    botId: uuid("bot_id"),
    name: text("name"),
    type: credentialType("type"),
    metadata: jsonb("metadata"),
    expiresAt: timestamp("expires_at", { withTimezone: true, mode: "date" }),
    lastUsedAt: timestamp("last_used_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id"),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_credentials_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_credentials_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_credentials_history", columns: [table.id, table.validFrom] }),
    index("ix_credentials_history_valid_to").on(table.organizationId, table.validTo),
  ],
);

export const organizationMembersHistory = botsSchema.table(
  "organization_members_history",
  {
    id: uuid("id").notNull(),
    organizationId: uuid("organization_id"),
    userId: uuid("user_id"),
    roleId: uuid("role_id"),
    roleIsSystem: boolean("role_is_system"),
    status: memberStatus("status"),
    joinedAt: timestamp("joined_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_organization_members_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_organization_members_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_organization_members_history", columns: [table.id, table.validFrom] }),
    index("ix_organization_members_history_valid_to").on(table.organizationId, table.validTo),
  ],
);

export const organizationsHistory = botsSchema.table(
  "organizations_history",
  {
    id: uuid("id").notNull(),
    name: text("name"),
    slug: text("slug"),
    plan: organizationPlan("plan"),
    billingEmail: text("billing_email"),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_organizations_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_organizations_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_organizations_history", columns: [table.id, table.validFrom] }),
    index("ix_organizations_history_valid_to").on(table.id, table.validTo),
  ],
);

export const permissions = botsSchema.table(
  "permissions",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    key: text("key").notNull(),
    description: text("description").notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_permissions_key", sql`key ~ '^[a-z_]+:[a-z_]+$'`),
    unique("uq_permissions_key").on(table.key),
  ],
);

export const rolesHistory = botsSchema.table(
  "roles_history",
  {
    id: uuid("id").notNull(),
    organizationId: uuid("organization_id"),
    name: text("name"),
    description: text("description"),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_roles_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_roles_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_roles_history", columns: [table.id, table.validFrom] }),
    index("ix_roles_history_valid_to").on(table.organizationId, table.validTo),
  ],
);

export const settingsHistory = botsSchema.table(
  "settings_history",
  {
    id: uuid("id").notNull(),
    userId: uuid("user_id"),
    key: text("key"),
    value: jsonb("value"),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id"),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_settings_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_settings_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_settings_history", columns: [table.id, table.validFrom] }),
    index("ix_settings_history_valid_to").on(table.organizationId, table.validTo),
  ],
);

export const tasksHistory = botsSchema.table(
  "tasks_history",
  {
    id: uuid("id").notNull(),
    botId: uuid("bot_id"),
    workflowRunId: uuid("workflow_run_id"),
    assigneeId: uuid("assignee_id"),
    title: text("title"),
    description: text("description"),
    status: taskStatus("status"),
    priority: taskPriority("priority"),
    dueAt: timestamp("due_at", { withTimezone: true, mode: "date" }),
    completedAt: timestamp("completed_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id"),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_tasks_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_tasks_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_tasks_history", columns: [table.id, table.validFrom] }),
    index("ix_tasks_history_valid_to").on(table.organizationId, table.validTo),
  ],
);

export const users = botsSchema.table(
  "users",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    email: text("email").notNull(),
    name: text("name").notNull(),
    avatarUrl: text("avatar_url"),
    passwordHash: text("password_hash"),
    status: userStatus("status").notNull().default("active"),
    emailVerifiedAt: timestamp("email_verified_at", { withTimezone: true, mode: "date" }),
    lastLoginAt: timestamp("last_login_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_users_email", sql`email ~ '^[^@ ]+@[^@ ]+$'`),
    check("ck_users_name", sql`char_length(name) BETWEEN 1 AND 200`),
    foreignKey({ name: "fk_users_created_by_id", columns: [table.createdById], foreignColumns: [table.id] }),
    foreignKey({ name: "fk_users_deleted_by_id", columns: [table.deletedById], foreignColumns: [table.id] }),
    foreignKey({ name: "fk_users_updated_by_id", columns: [table.updatedById], foreignColumns: [table.id] }),
    uniqueIndex("uq_users_email").on(sql`lower(bots.users.email)`).where(sql`deleted_at IS NULL`),
  ],
);

export const workflowsHistory = botsSchema.table(
  "workflows_history",
  {
    id: uuid("id").notNull(),
    name: text("name"),
    description: text("description"),
    slug: text("slug"),
    status: workflowStatus("status"),
    definition: jsonb("definition"),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id"),
    validFrom: timestamp("valid_from", { withTimezone: true, mode: "date" }).notNull(),
    validTo: timestamp("valid_to", { withTimezone: true, mode: "date" }).notNull(),
    change: text("change").notNull(),
    changedById: uuid("changed_by_id"),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_workflows_history_change", sql`change IN ('UPDATE', 'DELETE')`),
    check("ck_workflows_history_valid_to", sql`valid_to > valid_from`),
    primaryKey({ name: "pk_workflows_history", columns: [table.id, table.validFrom] }),
    index("ix_workflows_history_valid_to").on(table.organizationId, table.validTo),
  ],
);

export const organizations = botsSchema.table(
  "organizations",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    name: text("name").notNull(),
    slug: text("slug").notNull(),
    plan: organizationPlan("plan").notNull().default("free"),
    billingEmail: text("billing_email"),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_organizations_id", sql`id <> '00000000-0000-0000-0000-000000000000'::uuid`),
    check("ck_organizations_name", sql`char_length(name) BETWEEN 1 AND 200`),
    check("ck_organizations_slug", sql`slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'`),
    foreignKey({ name: "fk_organizations_created_by_id", columns: [table.createdById], foreignColumns: [users.id] }),
    foreignKey({ name: "fk_organizations_deleted_by_id", columns: [table.deletedById], foreignColumns: [users.id] }),
    foreignKey({ name: "fk_organizations_updated_by_id", columns: [table.updatedById], foreignColumns: [users.id] }),
    uniqueIndex("uq_organizations_slug").on(table.slug).where(sql`deleted_at IS NULL`),
  ],
);

export const roles = botsSchema.table(
  "roles",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    organizationId: uuid("organization_id"),
    name: text("name").notNull(),
    description: text("description"),
    scopeId: uuid("scope_id").notNull().generatedAlwaysAs(sql`COALESCE(organization_id, '00000000-0000-0000-0000-000000000000'::uuid)`),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_roles_name", sql`char_length(name) BETWEEN 1 AND 100`),
    foreignKey({ name: "fk_roles_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_roles_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_roles_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_roles_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    unique("uq_roles_scope_id_id").on(table.scopeId, table.id),
    index("ix_roles_organization_id").on(table.organizationId),
    uniqueIndex("uq_roles_name").on(table.scopeId, sql`lower(bots.roles.name)`).where(sql`deleted_at IS NULL`),
  ],
);

export const organizationMembers = botsSchema.table(
  "organization_members",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    organizationId: uuid("organization_id").notNull(),
    userId: uuid("user_id").notNull(),
    roleId: uuid("role_id").notNull(),
    roleIsSystem: boolean("role_is_system").notNull().default(true),
    roleScopeId: uuid("role_scope_id").notNull().generatedAlwaysAs(sql`CASE WHEN role_is_system THEN '00000000-0000-0000-0000-000000000000'::uuid ELSE organization_id END`),
    status: memberStatus("status").notNull().default("invited"),
    joinedAt: timestamp("joined_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_organization_members_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [table.organizationId, table.userId] }),
    foreignKey({ name: "fk_organization_members_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [table.organizationId, table.userId] }),
    foreignKey({ name: "fk_organization_members_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_organization_members_role_id", columns: [table.roleScopeId, table.roleId], foreignColumns: [roles.scopeId, roles.id] }),
    foreignKey({ name: "fk_organization_members_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [table.organizationId, table.userId] }),
    foreignKey({ name: "fk_organization_members_user_id", columns: [table.userId], foreignColumns: [users.id] }),
    unique("uq_organization_members_organization_id_user_id").on(table.organizationId, table.userId),
    index("ix_organization_members_role_scope_id_role_id").on(table.roleScopeId, table.roleId),
    index("ix_organization_members_user_id").on(table.userId),
  ],
);

export const rolePermissions = botsSchema.table(
  "role_permissions",
  {
    roleId: uuid("role_id").notNull(),
    permissionId: uuid("permission_id").notNull(),
    organizationId: uuid("organization_id"),
    scopeId: uuid("scope_id").notNull().generatedAlwaysAs(sql`COALESCE(organization_id, '00000000-0000-0000-0000-000000000000'::uuid)`),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_role_permissions_permission_id", columns: [table.permissionId], foreignColumns: [permissions.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_role_permissions_role_id", columns: [table.scopeId, table.roleId], foreignColumns: [roles.scopeId, roles.id] }).onDelete("cascade"),
    primaryKey({ name: "pk_role_permissions", columns: [table.roleId, table.permissionId] }),
    index("ix_role_permissions_permission_id").on(table.permissionId),
    index("ix_role_permissions_scope_id_role_id").on(table.scopeId, table.roleId),
  ],
);

export const activityLogs = botsSchema.table(
  "activity_logs",
  {
    id: uuid("id").notNull().default(sql`gen_random_uuid()`),
    actorId: uuid("actor_id").default(sql`(NULLIF(current_setting('app.user_id'::text, true), ''::text))::uuid`),
    action: activityAction("action").notNull(),
    entityType: text("entity_type").notNull(),
    entityId: uuid("entity_id"),
    changes: jsonb("changes").notNull().default({}),
    ipAddress: inetType("ip_address"),
    userAgent: text("user_agent"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_activity_logs_actor_id", columns: [table.organizationId, table.actorId], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_activity_logs_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    primaryKey({ name: "pk_activity_logs", columns: [table.id, table.createdAt] }),
    index("ix_activity_logs_actor_id").on(table.organizationId, table.actorId, sql`created_at DESC`),
    index("ix_activity_logs_entity").on(table.organizationId, table.entityType, table.entityId, sql`created_at DESC`),
    index("ix_activity_logs_newest").on(table.organizationId, sql`created_at DESC`, sql`id DESC`),
  ],
);

export const apiKeys = botsSchema.table(
  "api_keys",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    name: text("name").notNull(),
    prefix: text("prefix").notNull(),
    keyHash: byteaType("key_hash").notNull(),
    scopes: text("scopes").array().notNull().default(sql`'{}'::text[]`),
    lastUsedAt: timestamp("last_used_at", { withTimezone: true, mode: "date" }),
    expiresAt: timestamp("expires_at", { withTimezone: true, mode: "date" }),
    revokedAt: timestamp("revoked_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_api_keys_key_hash", sql`octet_length(key_hash) = 32`),
    check("ck_api_keys_name", sql`char_length(name) BETWEEN 1 AND 200`),
    foreignKey({ name: "fk_api_keys_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_api_keys_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_api_keys_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_api_keys_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    unique("uq_api_keys_key_hash").on(table.keyHash),
    index("ix_api_keys_organization_id").on(table.organizationId),
  ],
);

export const bots = botsSchema.table(
  "bots",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    createdById: uuid("created_by_id").notNull(),
    name: text("name").notNull(),
    description: text("description"),
    slug: text("slug").notNull(),
    isActive: boolean("is_active").notNull().default(true),
    schedule: text("schedule"),
    config: jsonb("config").notNull(),
    lastRunAt: timestamp("last_run_at", { withTimezone: true, mode: "date" }),
    nextRunAt: timestamp("next_run_at", { withTimezone: true, mode: "date" }),
    search: tsvectorType("search").generatedAlwaysAs(sql`(setweight(to_tsvector('english'::regconfig, name), 'A'::"char") || setweight(to_tsvector('english'::regconfig, COALESCE(description, ''::text)), 'B'::"char"))`),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_bots_config", sql`jsonb_typeof(config) = 'object'`),
    check("ck_bots_name", sql`char_length(name) BETWEEN 1 AND 200`),
    check("ck_bots_schedule", sql`bots.is_cron(schedule)`),
    check("ck_bots_slug", sql`slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'`),
    foreignKey({ name: "fk_bots_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_bots_created_by_id_users", columns: [table.createdById], foreignColumns: [users.id] }),
    foreignKey({ name: "fk_bots_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_bots_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_bots_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    unique("uq_bots_organization_id_id").on(table.organizationId, table.id),
    index("bots_active_idx").on(table.isActive).where(sql`deleted_at IS NULL`),
    index("bots_next_run_idx").on(table.nextRunAt),
    index("bots_org_id_idx").on(table.organizationId),
    uniqueIndex("bots_slug_idx").on(table.organizationId, table.slug).where(sql`deleted_at IS NULL`),
    index("ix_bots_due").on(table.organizationId, table.nextRunAt, table.id).where(sql`is_active AND deleted_at IS NULL AND next_run_at IS NOT NULL`),
    index("ix_bots_newest").on(table.organizationId, sql`created_at DESC`, sql`id DESC`).where(sql`deleted_at IS NULL`),
    index("ix_bots_search").using("gin", table.search),
  ],
);

export const notifications = botsSchema.table(
  "notifications",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    userId: uuid("user_id").notNull(),
    type: notificationType("type").notNull().default("info"),
    title: text("title").notNull(),
    body: text("body"),
    data: jsonb("data").notNull().default({}),
    readAt: timestamp("read_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_notifications_title", sql`char_length(title) BETWEEN 1 AND 300`),
    foreignKey({ name: "fk_notifications_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_notifications_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_notifications_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_notifications_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_notifications_user_id", columns: [table.organizationId, table.userId], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    index("ix_notifications_newest").on(table.organizationId, table.userId, sql`created_at DESC`).where(sql`deleted_at IS NULL`),
    index("ix_notifications_unread").on(table.organizationId, table.userId).where(sql`deleted_at IS NULL AND read_at IS NULL`),
  ],
);

export const sessions = botsSchema.table(
  "sessions",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    userId: uuid("user_id").notNull(),
    organizationId: uuid("organization_id"),
    tokenHash: byteaType("token_hash").notNull(),
    ipAddress: inetType("ip_address"),
    userAgent: text("user_agent"),
    lastSeenAt: timestamp("last_seen_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    expiresAt: timestamp("expires_at", { withTimezone: true, mode: "date" }).notNull(),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_sessions_token_hash", sql`octet_length(token_hash) = 32`),
    foreignKey({ name: "fk_sessions_organization_id", columns: [table.organizationId, table.userId], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }).onDelete("cascade"),
    foreignKey({ name: "fk_sessions_user_id", columns: [table.userId], foreignColumns: [users.id] }).onDelete("cascade"),
    unique("uq_sessions_token_hash").on(table.tokenHash),
    index("ix_sessions_expires_at").on(table.expiresAt),
    index("ix_sessions_organization_id_user_id").on(table.organizationId, table.userId),
    index("ix_sessions_user_id").on(table.userId),
  ],
);

export const settings = botsSchema.table(
  "settings",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    userId: uuid("user_id"),
    key: text("key").notNull(),
    value: jsonb("value").notNull(),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_settings_key", sql`char_length(key) BETWEEN 1 AND 200`),
    foreignKey({ name: "fk_settings_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_settings_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_settings_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_settings_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_settings_user_id", columns: [table.organizationId, table.userId], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    uniqueIndex("uq_settings_key").on(table.organizationId, table.userId, table.key).where(sql`deleted_at IS NULL`),
  ],
);

export const workflows = botsSchema.table(
  "workflows",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    name: text("name").notNull(),
    description: text("description"),
    slug: text("slug").notNull(),
    status: workflowStatus("status").notNull().default("draft"),
    definition: jsonb("definition").notNull(),
    search: tsvectorType("search").generatedAlwaysAs(sql`(setweight(to_tsvector('english'::regconfig, name), 'A'::"char") || setweight(to_tsvector('english'::regconfig, COALESCE(description, ''::text)), 'B'::"char"))`),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_workflows_definition", sql`jsonb_typeof(definition) = 'object'`),
    check("ck_workflows_name", sql`char_length(name) BETWEEN 1 AND 200`),
    check("ck_workflows_slug", sql`slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'`),
    foreignKey({ name: "fk_workflows_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_workflows_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_workflows_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_workflows_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    unique("uq_workflows_organization_id_id").on(table.organizationId, table.id),
    index("ix_workflows_search").using("gin", table.search),
    uniqueIndex("uq_workflows_slug").on(table.organizationId, table.slug).where(sql`deleted_at IS NULL`),
  ],
);

export const credentials = botsSchema.table(
  "credentials",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    botId: uuid("bot_id"),
    name: text("name").notNull(),
    type: credentialType("type").notNull(),
    secret: byteaType("secret").notNull(),
    metadata: jsonb("metadata").notNull().default({}),
    expiresAt: timestamp("expires_at", { withTimezone: true, mode: "date" }),
    lastUsedAt: timestamp("last_used_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_credentials_name", sql`char_length(name) BETWEEN 1 AND 200`),
    check("ck_credentials_secret", sql`octet_length(secret) > 28`),
    foreignKey({ name: "fk_credentials_bot_id", columns: [table.organizationId, table.botId], foreignColumns: [bots.organizationId, bots.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_credentials_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_credentials_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_credentials_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_credentials_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    index("ix_credentials_organization_id_bot_id").on(table.organizationId, table.botId),
    uniqueIndex("uq_credentials_name").on(table.organizationId, table.name).where(sql`deleted_at IS NULL`),
  ],
);

export const workflowRuns = botsSchema.table(
  "workflow_runs",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    workflowId: uuid("workflow_id").notNull(),
    status: runStatus("status").notNull().default("queued"),
    trigger: runTrigger("trigger").notNull().default("manual"),
    currentStep: text("current_step"),
    input: jsonb("input").notNull().default({}),
    output: jsonb("output"),
    errorMessage: text("error_message"),
    startedAt: timestamp("started_at", { withTimezone: true, mode: "date" }),
    finishedAt: timestamp("finished_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_workflow_runs_finished_at", sql`finished_at >= started_at`),
    foreignKey({ name: "fk_workflow_runs_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_workflow_runs_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_workflow_runs_workflow_id", columns: [table.organizationId, table.workflowId], foreignColumns: [workflows.organizationId, workflows.id] }).onDelete("cascade"),
    unique("uq_workflow_runs_organization_id_id").on(table.organizationId, table.id),
    index("ix_workflow_runs_newest").on(table.organizationId, table.workflowId, sql`started_at DESC`),
  ],
);

export const botRuns = botsSchema.table(
  "bot_runs",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    botId: uuid("bot_id").notNull(),
    status: runStatus("status").notNull().default("queued"),
    trigger: runTrigger("trigger").notNull().default("manual"),
    attempt: integer("attempt").notNull().default(1),
    input: jsonb("input").notNull().default({}),
    output: jsonb("output"),
    errorMessage: text("error_message"),
    worker: text("worker"),
    leaseExpiresAt: timestamp("lease_expires_at", { withTimezone: true, mode: "date" }),
    scheduledFor: timestamp("scheduled_for", { withTimezone: true, mode: "date" }),
    startedAt: timestamp("started_at", { withTimezone: true, mode: "date" }),
    finishedAt: timestamp("finished_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    workflowRunId: uuid("workflow_run_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_bot_runs_attempt", sql`attempt >= 1`),
    check("ck_bot_runs_finished_at", sql`finished_at >= started_at`),
    foreignKey({ name: "fk_bot_runs_bot_id", columns: [table.organizationId, table.botId], foreignColumns: [bots.organizationId, bots.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_bot_runs_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_bot_runs_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_bot_runs_workflow_run_id", columns: [table.organizationId, table.workflowRunId], foreignColumns: [workflowRuns.organizationId, workflowRuns.id] }).onDelete("set null"),
    unique("uq_bot_runs_organization_id_id").on(table.organizationId, table.id),
    index("ix_bot_runs_created_at").on(table.organizationId, sql`created_at DESC`, sql`id DESC`),
    index("ix_bot_runs_lease").on(table.leaseExpiresAt).where(sql`status = 'running'`),
    index("ix_bot_runs_newest").on(table.organizationId, table.botId, sql`started_at DESC`),
    index("ix_bot_runs_workflow_run_id").on(table.organizationId, table.workflowRunId).where(sql`workflow_run_id IS NOT NULL`),
  ],
);

export const tasks = botsSchema.table(
  "tasks",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    botId: uuid("bot_id"),
    workflowRunId: uuid("workflow_run_id"),
    assigneeId: uuid("assignee_id"),
    title: text("title").notNull(),
    description: text("description"),
    status: taskStatus("status").notNull().default("open"),
    priority: taskPriority("priority").notNull().default("normal"),
    dueAt: timestamp("due_at", { withTimezone: true, mode: "date" }),
    completedAt: timestamp("completed_at", { withTimezone: true, mode: "date" }),
    search: tsvectorType("search").generatedAlwaysAs(sql`(setweight(to_tsvector('english'::regconfig, title), 'A'::"char") || setweight(to_tsvector('english'::regconfig, COALESCE(description, ''::text)), 'B'::"char"))`),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_tasks_completed_at", sql`(status = 'done') = (completed_at IS NOT NULL)`),
    check("ck_tasks_title", sql`char_length(title) BETWEEN 1 AND 300`),
    foreignKey({ name: "fk_tasks_assignee_id", columns: [table.organizationId, table.assigneeId], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_tasks_bot_id", columns: [table.organizationId, table.botId], foreignColumns: [bots.organizationId, bots.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_tasks_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_tasks_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_tasks_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_tasks_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_tasks_workflow_run_id", columns: [table.organizationId, table.workflowRunId], foreignColumns: [workflowRuns.organizationId, workflowRuns.id] }).onDelete("cascade"),
    index("ix_tasks_bot_id").on(table.organizationId, table.botId).where(sql`bot_id IS NOT NULL`),
    index("ix_tasks_newest").on(table.organizationId, sql`created_at DESC`, sql`id DESC`),
    index("ix_tasks_open").on(table.organizationId, table.assigneeId, table.dueAt).where(sql`deleted_at IS NULL AND completed_at IS NULL`),
    index("ix_tasks_search").using("gin", table.search),
    index("ix_tasks_workflow_run_id").on(table.organizationId, table.workflowRunId).where(sql`workflow_run_id IS NOT NULL`),
  ],
);

export const botLogs = botsSchema.table(
  "bot_logs",
  {
    id: uuid("id").notNull().default(sql`gen_random_uuid()`),
    botId: uuid("bot_id").notNull(),
    botRunId: uuid("bot_run_id"),
    level: logLevel("level").notNull().default("info"),
    message: text("message").notNull(),
    context: jsonb("context").notNull().default({}),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    foreignKey({ name: "fk_bot_logs_bot_id", columns: [table.organizationId, table.botId], foreignColumns: [bots.organizationId, bots.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_bot_logs_bot_run_id", columns: [table.organizationId, table.botRunId], foreignColumns: [botRuns.organizationId, botRuns.id] }).onDelete("cascade"),
    primaryKey({ name: "pk_bot_logs", columns: [table.id, table.createdAt] }),
    index("ix_bot_logs_bot_run_id").on(table.organizationId, table.botRunId, table.createdAt),
    index("ix_bot_logs_newest").on(table.organizationId, table.botId, sql`created_at DESC`),
  ],
);

export const sessionRecordings = botsSchema.table(
  "session_recordings",
  {
    id: uuid("id").primaryKey().default(sql`gen_random_uuid()`),
    botRunId: uuid("bot_run_id").notNull(),
    status: recordingStatus("status").notNull().default("recording"),
    events: jsonb("events").notNull().default([]),
    eventCount: integer("event_count").generatedAlwaysAs(sql`CASE WHEN (jsonb_typeof(events) = 'array'::text) THEN jsonb_array_length(events) ELSE NULL::integer END`),
    pageUrl: text("page_url"),
    startedAt: timestamp("started_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    endedAt: timestamp("ended_at", { withTimezone: true, mode: "date" }),
    createdById: uuid("created_by_id"),
    updatedById: uuid("updated_by_id"),
    deletedById: uuid("deleted_by_id"),
    createdAt: timestamp("created_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    updatedAt: timestamp("updated_at", { withTimezone: true, mode: "date" }).notNull().defaultNow(),
    deletedAt: timestamp("deleted_at", { withTimezone: true, mode: "date" }),
    organizationId: uuid("organization_id").notNull(),
  },
  (table): PgTableExtraConfigValue[] => [
    check("ck_session_recordings_ended_at", sql`ended_at >= started_at`),
    check("ck_session_recordings_events", sql`jsonb_typeof(events) = 'array'`),
    foreignKey({ name: "fk_session_recordings_bot_run_id", columns: [table.organizationId, table.botRunId], foreignColumns: [botRuns.organizationId, botRuns.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_session_recordings_created_by_id", columns: [table.organizationId, table.createdById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_session_recordings_deleted_by_id", columns: [table.organizationId, table.deletedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    foreignKey({ name: "fk_session_recordings_organization_id", columns: [table.organizationId], foreignColumns: [organizations.id] }).onDelete("cascade"),
    foreignKey({ name: "fk_session_recordings_updated_by_id", columns: [table.organizationId, table.updatedById], foreignColumns: [organizationMembers.organizationId, organizationMembers.userId] }),
    index("ix_session_recordings_organization_id_bot_run_id").on(table.organizationId, table.botRunId),
  ],
);

export type ApiKeysHistory = typeof apiKeysHistory.$inferSelect;
export type NewApiKeysHistory = typeof apiKeysHistory.$inferInsert;
export type BotsHistory = typeof botsHistory.$inferSelect;
export type NewBotsHistory = typeof botsHistory.$inferInsert;
export type CredentialsHistory = typeof credentialsHistory.$inferSelect;
export type NewCredentialsHistory = typeof credentialsHistory.$inferInsert;
export type OrganizationMembersHistory = typeof organizationMembersHistory.$inferSelect;
export type NewOrganizationMembersHistory = typeof organizationMembersHistory.$inferInsert;
export type OrganizationsHistory = typeof organizationsHistory.$inferSelect;
export type NewOrganizationsHistory = typeof organizationsHistory.$inferInsert;
export type Permission = typeof permissions.$inferSelect;
export type NewPermission = typeof permissions.$inferInsert;
export type RolesHistory = typeof rolesHistory.$inferSelect;
export type NewRolesHistory = typeof rolesHistory.$inferInsert;
export type SettingsHistory = typeof settingsHistory.$inferSelect;
export type NewSettingsHistory = typeof settingsHistory.$inferInsert;
export type TasksHistory = typeof tasksHistory.$inferSelect;
export type NewTasksHistory = typeof tasksHistory.$inferInsert;
export type User = typeof users.$inferSelect;
export type NewUser = typeof users.$inferInsert;
export type WorkflowsHistory = typeof workflowsHistory.$inferSelect;
export type NewWorkflowsHistory = typeof workflowsHistory.$inferInsert;
export type Organization = typeof organizations.$inferSelect;
export type NewOrganization = typeof organizations.$inferInsert;
export type Role = typeof roles.$inferSelect;
export type NewRole = typeof roles.$inferInsert;
export type OrganizationMember = typeof organizationMembers.$inferSelect;
export type NewOrganizationMember = typeof organizationMembers.$inferInsert;
export type RolePermission = typeof rolePermissions.$inferSelect;
export type NewRolePermission = typeof rolePermissions.$inferInsert;
export type ActivityLog = typeof activityLogs.$inferSelect;
export type NewActivityLog = typeof activityLogs.$inferInsert;
export type ApiKey = typeof apiKeys.$inferSelect;
export type NewApiKey = typeof apiKeys.$inferInsert;
export type Bot = typeof bots.$inferSelect;
export type NewBot = typeof bots.$inferInsert;
export type Notification = typeof notifications.$inferSelect;
export type NewNotification = typeof notifications.$inferInsert;
export type Session = typeof sessions.$inferSelect;
export type NewSession = typeof sessions.$inferInsert;
export type Setting = typeof settings.$inferSelect;
export type NewSetting = typeof settings.$inferInsert;
export type Workflow = typeof workflows.$inferSelect;
export type NewWorkflow = typeof workflows.$inferInsert;
export type Credential = typeof credentials.$inferSelect;
export type NewCredential = typeof credentials.$inferInsert;
export type WorkflowRun = typeof workflowRuns.$inferSelect;
export type NewWorkflowRun = typeof workflowRuns.$inferInsert;
export type BotRun = typeof botRuns.$inferSelect;
export type NewBotRun = typeof botRuns.$inferInsert;
export type Task = typeof tasks.$inferSelect;
export type NewTask = typeof tasks.$inferInsert;
export type BotLog = typeof botLogs.$inferSelect;
export type NewBotLog = typeof botLogs.$inferInsert;
export type SessionRecording = typeof sessionRecordings.$inferSelect;
export type NewSessionRecording = typeof sessionRecordings.$inferInsert;
