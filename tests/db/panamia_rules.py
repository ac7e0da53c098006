"""The constraints, indexes, trigger function and privileges of panamia: what a social and mentoring product needs."""

from tests.db.panamia_columns import GROUP_OF, JSONB, NATURAL_KEYS


def fk(table: str, column: str, referred: str, when_deleted: str) -> tuple[str, str]:
    name = f"{table}.fk_{table}_{column}_{referred}"
    return name, f"FOREIGN KEY ({column}) REFERENCES panamia.{referred}(id) ON DELETE {when_deleted}"


def unique(table: str, *names: str) -> tuple[str, str]:
    shown = ", ".join('"position"' if name == "position" else name for name in names)  # a keyword is quoted
    return f"{table}.uq_{table}_{'_'.join(names)}", f"UNIQUE ({shown})"


def one_of(table: str, column: str, *values: str) -> tuple[str, str]:
    listed = ", ".join(f"'{value}'::text" for value in values)
    return f"{table}.ck_{table}_{column}", f"CHECK (({column} = ANY (ARRAY[{listed}])))"


def check(table: str, name: str, condition: str) -> tuple[str, str]:
    return f"{table}.ck_{table}_{name}", f"CHECK ({condition})"


CONSTRAINTS = dict(
    [
        *((f"{table}.pk_{table}", f"PRIMARY KEY ({NATURAL_KEYS.get(table, 'id')})") for table in GROUP_OF),
        *(
            check(table, column, f"(jsonb_typeof({column}) = ANY (ARRAY['object'::text, 'array'::text]))")
            for table, names in JSONB.items()
            for column in names
        ),
        fk("accounts", "user_id", "users", "CASCADE"),
        fk("sessions", "user_id", "users", "CASCADE"),
        fk("profiles", "user_id", "users", "CASCADE"),
        fk("articles", "author_id", "users", "SET NULL"),
        fk("article_announcements", "article_id", "articles", "CASCADE"),
        fk("article_announcements", "announced_by", "users", "SET NULL"),
        fk("social_actors", "user_id", "users", "CASCADE"),
        fk("social_statuses", "actor_id", "social_actors", "CASCADE"),
        fk("social_statuses", "in_reply_to_id", "social_statuses", "SET NULL"),
        fk("social_statuses", "article_id", "articles", "SET NULL"),
        fk("social_follows", "actor_id", "social_actors", "CASCADE"),
        fk("social_follows", "target_actor_id", "social_actors", "CASCADE"),
        fk("social_likes", "status_id", "social_statuses", "CASCADE"),
        fk("social_likes", "actor_id", "social_actors", "CASCADE"),
        fk("social_attachments", "status_id", "social_statuses", "CASCADE"),
        fk("social_tags", "status_id", "social_statuses", "CASCADE"),
        fk("social_tags", "actor_id", "social_actors", "SET NULL"),
        fk("social_recipients", "status_id", "social_statuses", "CASCADE"),
        fk("social_recipients", "actor_id", "social_actors", "CASCADE"),
        fk("mentor_sessions", "mentor_id", "users", "CASCADE"),
        fk("mentor_sessions", "mentee_id", "users", "CASCADE"),
        fk("intake_forms", "user_id", "users", "SET NULL"),
        fk("notifications", "user_id", "users", "CASCADE"),
        fk("notifications", "actor_id", "users", "SET NULL"),
        fk("user_follows", "follower_id", "users", "CASCADE"),
        fk("user_follows", "followed_id", "users", "CASCADE"),
        fk("user_lists", "user_id", "users", "CASCADE"),
        fk("user_list_members", "list_id", "user_lists", "CASCADE"),
        fk("user_list_members", "user_id", "users", "CASCADE"),
        fk("interactions", "user_id", "users", "SET NULL"),
        fk("interactions", "profile_id", "profiles", "CASCADE"),
        fk("interactions", "article_id", "articles", "CASCADE"),
        fk("screenname_history", "user_id", "users", "CASCADE"),
        fk("brevo_contacts", "user_id", "users", "SET NULL"),
        fk("email_migrations", "user_id", "users", "CASCADE"),
        fk("o_auth_verifications", "user_id", "users", "SET NULL"),
        unique("users", "email"),
        unique("profiles", "user_id"),
        unique("profiles", "slug"),
        unique("articles", "slug"),
        unique("article_announcements", "article_id", "channel"),
        unique("social_actors", "user_id"),
        unique("social_actors", "uri"),
        unique("social_statuses", "uri"),
        unique("social_follows", "actor_id", "target_actor_id"),
        unique("social_likes", "status_id", "actor_id"),
        unique("social_attachments", "status_id", "position"),
        unique("social_tags", "status_id", "kind", "name"),
        unique("social_recipients", "status_id", "actor_id"),
        unique("user_follows", "follower_id", "followed_id"),
        unique("user_list_members", "list_id", "user_id"),
        unique("brevo_contacts", "brevo_id"),
        unique("email_migrations", "token_hash"),
        unique("o_auth_verifications", "provider", "provider_account_id"),
        unique("o_auth_verifications", "token_hash"),
        one_of("articles", "status", "draft", "pending_review", "revision_needed", "published", "removed"),
        one_of("article_announcements", "channel", "site", "email", "social"),
        one_of("social_statuses", "visibility", "public", "unlisted", "followers", "direct"),
        one_of("social_follows", "status", "pending", "accepted", "rejected"),
        one_of("social_tags", "kind", "hashtag", "mention"),
        one_of("social_recipients", "kind", "to", "cc"),
        one_of(
            "mentor_sessions", "status", "pending", "scheduled", "in_progress", "completed", "cancelled", "declined"
        ),
        one_of("intake_forms", "form_type", "art", "apparel", "food", "goods", "org", "services"),
        one_of("intake_forms", "status", "new", "reviewed", "archived"),
        one_of(
            "notifications",
            "type",
            "follow",
            "like",
            "mention",
            "reply",
            "article",
            "mentoring",
            "message",
            "system",
        ),
        one_of("interactions", "kind", "view", "save", "share", "contact", "like"),
        check("articles", "published_at", "((status <> 'published'::text) OR (published_at IS NOT NULL))"),
        check("social_follows", "not_oneself", "(actor_id <> target_actor_id)"),
        check("social_attachments", "position", '("position" >= 0)'),
        check("social_attachments", "size", "((width > 0) AND (height > 0))"),
        check("mentor_sessions", "not_oneself", "(mentor_id <> mentee_id)"),
        check("mentor_sessions", "duration_minutes", "((duration_minutes >= 5) AND (duration_minutes <= 480))"),
        check("user_follows", "not_oneself", "(follower_id <> followed_id)"),
        check("interactions", "target", "(num_nonnulls(profile_id, article_id) = 1)"),
        check("email_migrations", "new_email", "(old_email <> new_email)"),
    ]
)


def index(table: str, names: str, where: str = "", name: str = "", how: str = "btree") -> tuple[str, str]:
    called = name or "_".join(["ix", table, *names.split(", ")])
    return f"{table}.{called}", f"panamia.{table} USING {how} ({names})" + (f" WHERE ({where})" if where else "")


def unique_index(table: str, called: str, expressions: str, where: str = "") -> tuple[str, str]:
    name, text = index(table, expressions, where, f"uq_{table}_{called}")
    return name, f"{text} UNIQUE"


INDEXES = dict(
    [
        index("users", "created_at, id"),
        unique_index("users", "screenname", "lower(screenname)"),
        index("accounts", "user_id"),
        index("sessions", "user_id"),
        index("sessions", "expires"),
        index("verification_tokens", "expires"),
        index("profiles", "created_at, id"),
        index("profiles", "categories jsonb_path_ops", name="ix_profiles_categories", how="gin"),
        index("profiles", "name extensions.gin_trgm_ops", name="ix_profiles_name", how="gin"),
        index("articles", "author_id, created_at, id"),
        index("articles", "published_at, id", "status = 'published'::text", "ix_articles_published"),
        index("article_announcements", "announced_by"),
        unique_index("social_actors", "handle", "lower(username), lower(domain)"),
        index("social_statuses", "actor_id, created_at, id"),
        index("social_statuses", "created_at, id", "visibility = 'public'::text", "ix_social_statuses_public"),
        index("social_statuses", "in_reply_to_id"),
        index("social_statuses", "article_id"),
        index("social_follows", "target_actor_id, status"),
        index("social_likes", "actor_id"),
        index("social_tags", "lower(name), created_at, id", "kind = 'hashtag'::text", "ix_social_tags_hashtag"),
        index("social_tags", "actor_id"),
        index("social_recipients", "actor_id, created_at, id"),
        index("mentor_sessions", "mentor_id, created_at, id"),
        index("mentor_sessions", "mentee_id, created_at, id"),
        unique_index(
            "mentor_sessions",
            "hour",
            "mentor_id, scheduled_at",
            "status = ANY (ARRAY['scheduled'::text, 'in_progress'::text])",
        ),
        index("intake_forms", "user_id"),
        index("intake_forms", "status, created_at, id"),
        index("notifications", "user_id, created_at, id"),
        index("notifications", "user_id, created_at, id", "read_at IS NULL", "ix_notifications_unread"),
        index("notifications", "actor_id"),
        index("user_follows", "followed_id, created_at, id"),
        unique_index("user_lists", "name", "user_id, lower(name)"),
        index("user_list_members", "user_id"),
        index("interactions", "user_id, created_at, id"),
        index("interactions", "profile_id, kind"),
        index("interactions", "article_id, kind"),
        index("screenname_history", "user_id, created_at, id"),
        index("screenname_history", "lower(screenname), created_at, id", name="ix_screenname_history_screenname"),
        index("contact_submissions", "created_at, id"),
        index("newsletter_signups", "created_at, id"),
        unique_index("newsletter_signups", "email", "lower(email)"),
        index("brevo_contacts", "user_id"),
        index("brevo_contacts", "last_synced_at"),
        unique_index("brevo_contacts", "email", "lower(email)"),
        index("email_migrations", "user_id"),
        index("email_migrations", "expires_at"),
        index("o_auth_verifications", "user_id"),
        index("o_auth_verifications", "expires_at"),
    ]
)
TOUCH = "BEGIN\n        NEW.updated_at := pg_catalog.clock_timestamp();\n        RETURN NEW;\n    END"
FUNCTIONS = {"touch()": TOUCH}
ROUTINES = {"touch()": "returns trigger, plpgsql, volatile, for panamia_app panamia_owner"}
TRIGGERS = {
    f"{table}.{table}_touch": f"BEFORE UPDATE ON panamia.{table} FOR EACH ROW EXECUTE FUNCTION panamia.touch()"
    for table in GROUP_OF
}
# who reports sees no token
READABLE = {
    "accounts": (
        "SELECT (created_at, expires_at, provider, provider_account_id, scope, token_type, type, updated_at, user_id)"
    ),
    "sessions": "SELECT (created_at, expires, updated_at, user_id)",
    "verification_tokens": "SELECT (created_at, expires, identifier, updated_at)",
}
PRIVILEGES = {
    **{f"{table}.panamia_app": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}) for table in GROUP_OF},
    **{f"{table}.panamia_readonly": frozenset({READABLE.get(table, "SELECT")}) for table in GROUP_OF},
}
