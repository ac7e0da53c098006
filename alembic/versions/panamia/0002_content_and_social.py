"""Articles, and the social network (panamia.md, "Schema Overview").

Purpose: members write, follow and answer each other, here and across servers
Ticket: N/A
Reversible: Yes
Rollback: alembic -n panamia downgrade 0001_initial_schema

What somebody wrote stays when they leave (author_id becomes NULL); what they did goes with them.
"""

from alembic import op

revision = "0002_content_and_social"
down_revision = "0001_initial_schema"
branch_labels = None
depends_on = None

TABLES = (
    "articles",
    "article_announcements",
    "social_actors",
    "social_statuses",
    "social_follows",
    "social_likes",
    "social_attachments",
    "social_tags",
    "social_recipients",
)
STATEMENTS = (
    """CREATE TABLE panamia.articles (
        id text NOT NULL,
        author_id text,
        slug text NOT NULL,
        title text NOT NULL,
        content text NOT NULL,
        excerpt text,
        cover_image text,
        status text NOT NULL DEFAULT 'draft',
        co_authors jsonb NOT NULL DEFAULT '[]'::jsonb,
        reviewed_by jsonb NOT NULL DEFAULT '[]'::jsonb,
        published_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_articles PRIMARY KEY (id),
        CONSTRAINT ck_articles_status
            CHECK (status IN ('draft', 'pending_review', 'revision_needed', 'published', 'removed')),
        CONSTRAINT ck_articles_published_at CHECK (status <> 'published' OR published_at IS NOT NULL),
        CONSTRAINT ck_articles_co_authors CHECK (jsonb_typeof(co_authors) IN ('object', 'array')),
        CONSTRAINT ck_articles_reviewed_by CHECK (jsonb_typeof(reviewed_by) IN ('object', 'array')),
        CONSTRAINT fk_articles_author_id_users
            FOREIGN KEY (author_id) REFERENCES panamia.users (id) ON DELETE SET NULL,
        CONSTRAINT uq_articles_slug UNIQUE (slug)
    )""",
    "CREATE INDEX ix_articles_author_id_created_at_id ON panamia.articles (author_id, created_at, id)",
    "CREATE INDEX ix_articles_published ON panamia.articles (published_at, id) WHERE status = 'published'",
    """CREATE TABLE panamia.article_announcements (
        id text NOT NULL,
        article_id text NOT NULL,
        channel text NOT NULL,
        announced_by text,
        message text,
        announced_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_article_announcements PRIMARY KEY (id),
        CONSTRAINT ck_article_announcements_channel CHECK (channel IN ('site', 'email', 'social')),
        CONSTRAINT uq_article_announcements_article_id_channel UNIQUE (article_id, channel),
        CONSTRAINT fk_article_announcements_article_id_articles
            FOREIGN KEY (article_id) REFERENCES panamia.articles (id) ON DELETE CASCADE,
        CONSTRAINT fk_article_announcements_announced_by_users
            FOREIGN KEY (announced_by) REFERENCES panamia.users (id) ON DELETE SET NULL
    )""",
    "CREATE INDEX ix_article_announcements_announced_by ON panamia.article_announcements (announced_by)",
    """CREATE TABLE panamia.social_actors (
        id text NOT NULL,
        user_id text,
        username text NOT NULL,
        domain text NOT NULL,
        uri text NOT NULL,
        inbox_url text NOT NULL,
        outbox_url text,
        shared_inbox_url text,
        display_name text,
        summary text,
        icon_url text,
        public_key text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_social_actors PRIMARY KEY (id),
        CONSTRAINT uq_social_actors_user_id UNIQUE (user_id),
        CONSTRAINT fk_social_actors_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE,
        CONSTRAINT uq_social_actors_uri UNIQUE (uri)
    )""",
    "CREATE UNIQUE INDEX uq_social_actors_handle ON panamia.social_actors (lower(username), lower(domain))",
    """CREATE TABLE panamia.social_statuses (
        id text NOT NULL,
        actor_id text NOT NULL,
        uri text NOT NULL,
        content text NOT NULL,
        content_warning text,
        visibility text NOT NULL DEFAULT 'public',
        in_reply_to_id text,
        article_id text,
        recipient_to jsonb NOT NULL DEFAULT '[]'::jsonb,
        recipient_cc jsonb NOT NULL DEFAULT '[]'::jsonb,
        published_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_social_statuses PRIMARY KEY (id),
        CONSTRAINT ck_social_statuses_visibility
            CHECK (visibility IN ('public', 'unlisted', 'followers', 'direct')),
        CONSTRAINT ck_social_statuses_recipient_to
            CHECK (jsonb_typeof(recipient_to) IN ('object', 'array')),
        CONSTRAINT ck_social_statuses_recipient_cc
            CHECK (jsonb_typeof(recipient_cc) IN ('object', 'array')),
        CONSTRAINT fk_social_statuses_actor_id_social_actors
            FOREIGN KEY (actor_id) REFERENCES panamia.social_actors (id) ON DELETE CASCADE,
        CONSTRAINT uq_social_statuses_uri UNIQUE (uri),
        CONSTRAINT fk_social_statuses_in_reply_to_id_social_statuses
            FOREIGN KEY (in_reply_to_id) REFERENCES panamia.social_statuses (id) ON DELETE SET NULL,
        CONSTRAINT fk_social_statuses_article_id_articles
            FOREIGN KEY (article_id) REFERENCES panamia.articles (id) ON DELETE SET NULL
    )""",
    "CREATE INDEX ix_social_statuses_actor_id_created_at_id ON panamia.social_statuses (actor_id, created_at, id)",
    "CREATE INDEX ix_social_statuses_article_id ON panamia.social_statuses (article_id)",
    "CREATE INDEX ix_social_statuses_in_reply_to_id ON panamia.social_statuses (in_reply_to_id)",
    "CREATE INDEX ix_social_statuses_public ON panamia.social_statuses (created_at, id) WHERE visibility = 'public'",
    """CREATE TABLE panamia.social_follows (
        id text NOT NULL,
        actor_id text NOT NULL,
        target_actor_id text NOT NULL,
        status text NOT NULL DEFAULT 'pending',
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_social_follows PRIMARY KEY (id),
        CONSTRAINT ck_social_follows_status CHECK (status IN ('pending', 'accepted', 'rejected')),
        CONSTRAINT ck_social_follows_not_oneself CHECK (actor_id <> target_actor_id),
        CONSTRAINT uq_social_follows_actor_id_target_actor_id UNIQUE (actor_id, target_actor_id),
        CONSTRAINT fk_social_follows_actor_id_social_actors
            FOREIGN KEY (actor_id) REFERENCES panamia.social_actors (id) ON DELETE CASCADE,
        CONSTRAINT fk_social_follows_target_actor_id_social_actors
            FOREIGN KEY (target_actor_id) REFERENCES panamia.social_actors (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_social_follows_target_actor_id_status ON panamia.social_follows (target_actor_id, status)",
    """CREATE TABLE panamia.social_likes (
        id text NOT NULL,
        status_id text NOT NULL,
        actor_id text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_social_likes PRIMARY KEY (id),
        CONSTRAINT uq_social_likes_status_id_actor_id UNIQUE (status_id, actor_id),
        CONSTRAINT fk_social_likes_status_id_social_statuses
            FOREIGN KEY (status_id) REFERENCES panamia.social_statuses (id) ON DELETE CASCADE,
        CONSTRAINT fk_social_likes_actor_id_social_actors
            FOREIGN KEY (actor_id) REFERENCES panamia.social_actors (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_social_likes_actor_id ON panamia.social_likes (actor_id)",
    """CREATE TABLE panamia.social_attachments (
        id text NOT NULL,
        status_id text NOT NULL,
        position integer NOT NULL DEFAULT 0,
        url text NOT NULL,
        media_type text NOT NULL,
        description text,
        width integer,
        height integer,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_social_attachments PRIMARY KEY (id),
        CONSTRAINT ck_social_attachments_position CHECK (position >= 0),
        CONSTRAINT ck_social_attachments_size CHECK (width > 0 AND height > 0),
        CONSTRAINT uq_social_attachments_status_id_position UNIQUE (status_id, position),
        CONSTRAINT fk_social_attachments_status_id_social_statuses
            FOREIGN KEY (status_id) REFERENCES panamia.social_statuses (id) ON DELETE CASCADE
    )""",
    """CREATE TABLE panamia.social_tags (
        id text NOT NULL,
        status_id text NOT NULL,
        kind text NOT NULL,
        name text NOT NULL,
        href text,
        actor_id text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_social_tags PRIMARY KEY (id),
        CONSTRAINT ck_social_tags_kind CHECK (kind IN ('hashtag', 'mention')),
        CONSTRAINT uq_social_tags_status_id_kind_name UNIQUE (status_id, kind, name),
        CONSTRAINT fk_social_tags_status_id_social_statuses
            FOREIGN KEY (status_id) REFERENCES panamia.social_statuses (id) ON DELETE CASCADE,
        CONSTRAINT fk_social_tags_actor_id_social_actors
            FOREIGN KEY (actor_id) REFERENCES panamia.social_actors (id) ON DELETE SET NULL
    )""",
    "CREATE INDEX ix_social_tags_actor_id ON panamia.social_tags (actor_id)",
    """CREATE INDEX ix_social_tags_hashtag
        ON panamia.social_tags (lower(name), created_at, id)
        WHERE kind = 'hashtag'""",
    """CREATE TABLE panamia.social_recipients (
        id text NOT NULL,
        status_id text NOT NULL,
        actor_id text NOT NULL,
        kind text NOT NULL DEFAULT 'to',
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_social_recipients PRIMARY KEY (id),
        CONSTRAINT ck_social_recipients_kind CHECK (kind IN ('to', 'cc')),
        CONSTRAINT uq_social_recipients_status_id_actor_id UNIQUE (status_id, actor_id),
        CONSTRAINT fk_social_recipients_status_id_social_statuses
            FOREIGN KEY (status_id) REFERENCES panamia.social_statuses (id) ON DELETE CASCADE,
        CONSTRAINT fk_social_recipients_actor_id_social_actors
            FOREIGN KEY (actor_id) REFERENCES panamia.social_actors (id) ON DELETE CASCADE
    )""",
    """CREATE INDEX ix_social_recipients_actor_id_created_at_id
        ON panamia.social_recipients (actor_id, created_at, id)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_touch BEFORE UPDATE ON panamia.{table}"
            " FOR EACH ROW EXECUTE FUNCTION panamia.touch()"
        )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema="panamia")
