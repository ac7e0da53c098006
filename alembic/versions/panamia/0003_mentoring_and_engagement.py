"""Mentoring and engagement (panamia.md, "Schema Overview").

Purpose: mentors meet mentees; members follow, list and notice each other
Ticket: N/A
Reversible: Yes
Rollback: alembic -n panamia downgrade 0002_content_and_social
"""

from alembic import op

revision = "0003_mentoring_and_engagement"
down_revision = "0002_content_and_social"
branch_labels = None
depends_on = None

TABLES = (
    "mentor_sessions",
    "intake_forms",
    "notifications",
    "user_follows",
    "user_lists",
    "user_list_members",
    "interactions",
    "screenname_history",
)
STATEMENTS = (
    """CREATE TABLE panamia.mentor_sessions (
        id text NOT NULL,
        mentor_id text NOT NULL,
        mentee_id text NOT NULL,
        topic text NOT NULL,
        status text NOT NULL DEFAULT 'pending',
        scheduled_at timestamptz NOT NULL,
        duration_minutes integer NOT NULL DEFAULT 60,
        meeting_url text,
        notes text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_mentor_sessions PRIMARY KEY (id),
        CONSTRAINT ck_mentor_sessions_status
            CHECK (status IN ('pending', 'scheduled', 'in_progress', 'completed', 'cancelled', 'declined')),
        CONSTRAINT ck_mentor_sessions_not_oneself CHECK (mentor_id <> mentee_id),
        CONSTRAINT ck_mentor_sessions_duration_minutes CHECK (duration_minutes BETWEEN 5 AND 480),
        CONSTRAINT fk_mentor_sessions_mentor_id_users
            FOREIGN KEY (mentor_id) REFERENCES panamia.users (id) ON DELETE CASCADE,
        CONSTRAINT fk_mentor_sessions_mentee_id_users
            FOREIGN KEY (mentee_id) REFERENCES panamia.users (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_mentor_sessions_mentee_id_created_at_id ON panamia.mentor_sessions (mentee_id, created_at, id)",
    "CREATE INDEX ix_mentor_sessions_mentor_id_created_at_id ON panamia.mentor_sessions (mentor_id, created_at, id)",
    """CREATE UNIQUE INDEX uq_mentor_sessions_hour
        ON panamia.mentor_sessions (mentor_id, scheduled_at)
        WHERE status IN ('scheduled', 'in_progress')""",
    """CREATE TABLE panamia.intake_forms (
        id text NOT NULL,
        user_id text,
        form_type text NOT NULL,
        status text NOT NULL DEFAULT 'new',
        form_data jsonb NOT NULL DEFAULT '{}'::jsonb,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_intake_forms PRIMARY KEY (id),
        CONSTRAINT ck_intake_forms_form_type
            CHECK (form_type IN ('art', 'apparel', 'food', 'goods', 'org', 'services')),
        CONSTRAINT ck_intake_forms_status CHECK (status IN ('new', 'reviewed', 'archived')),
        CONSTRAINT ck_intake_forms_form_data CHECK (jsonb_typeof(form_data) IN ('object', 'array')),
        CONSTRAINT fk_intake_forms_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE SET NULL
    )""",
    "CREATE INDEX ix_intake_forms_status_created_at_id ON panamia.intake_forms (status, created_at, id)",
    "CREATE INDEX ix_intake_forms_user_id ON panamia.intake_forms (user_id)",
    """CREATE TABLE panamia.notifications (
        id text NOT NULL,
        user_id text NOT NULL,
        actor_id text,
        type text NOT NULL,
        message text NOT NULL,
        url text,
        read_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_notifications PRIMARY KEY (id),
        CONSTRAINT ck_notifications_type
            CHECK (type IN ('follow', 'like', 'mention', 'reply', 'article', 'mentoring', 'message', 'system')),
        CONSTRAINT fk_notifications_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE,
        CONSTRAINT fk_notifications_actor_id_users
            FOREIGN KEY (actor_id) REFERENCES panamia.users (id) ON DELETE SET NULL
    )""",
    "CREATE INDEX ix_notifications_actor_id ON panamia.notifications (actor_id)",
    "CREATE INDEX ix_notifications_unread ON panamia.notifications (user_id, created_at, id) WHERE read_at IS NULL",
    "CREATE INDEX ix_notifications_user_id_created_at_id ON panamia.notifications (user_id, created_at, id)",
    """CREATE TABLE panamia.user_follows (
        id text NOT NULL,
        follower_id text NOT NULL,
        followed_id text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_user_follows PRIMARY KEY (id),
        CONSTRAINT ck_user_follows_not_oneself CHECK (follower_id <> followed_id),
        CONSTRAINT uq_user_follows_follower_id_followed_id UNIQUE (follower_id, followed_id),
        CONSTRAINT fk_user_follows_follower_id_users
            FOREIGN KEY (follower_id) REFERENCES panamia.users (id) ON DELETE CASCADE,
        CONSTRAINT fk_user_follows_followed_id_users
            FOREIGN KEY (followed_id) REFERENCES panamia.users (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_user_follows_followed_id_created_at_id ON panamia.user_follows (followed_id, created_at, id)",
    """CREATE TABLE panamia.user_lists (
        id text NOT NULL,
        user_id text NOT NULL,
        name text NOT NULL,
        description text,
        is_public boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_user_lists PRIMARY KEY (id),
        CONSTRAINT fk_user_lists_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE
    )""",
    "CREATE UNIQUE INDEX uq_user_lists_name ON panamia.user_lists (user_id, lower(name))",
    """CREATE TABLE panamia.user_list_members (
        id text NOT NULL,
        list_id text NOT NULL,
        user_id text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_user_list_members PRIMARY KEY (id),
        CONSTRAINT uq_user_list_members_list_id_user_id UNIQUE (list_id, user_id),
        CONSTRAINT fk_user_list_members_list_id_user_lists
            FOREIGN KEY (list_id) REFERENCES panamia.user_lists (id) ON DELETE CASCADE,
        CONSTRAINT fk_user_list_members_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_user_list_members_user_id ON panamia.user_list_members (user_id)",
    """CREATE TABLE panamia.interactions (
        id text NOT NULL,
        user_id text,
        kind text NOT NULL,
        profile_id text,
        article_id text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_interactions PRIMARY KEY (id),
        CONSTRAINT ck_interactions_kind CHECK (kind IN ('view', 'save', 'share', 'contact', 'like')),
        CONSTRAINT ck_interactions_target CHECK (num_nonnulls(profile_id, article_id) = 1),
        CONSTRAINT fk_interactions_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE SET NULL,
        CONSTRAINT fk_interactions_profile_id_profiles
            FOREIGN KEY (profile_id) REFERENCES panamia.profiles (id) ON DELETE CASCADE,
        CONSTRAINT fk_interactions_article_id_articles
            FOREIGN KEY (article_id) REFERENCES panamia.articles (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_interactions_article_id_kind ON panamia.interactions (article_id, kind)",
    "CREATE INDEX ix_interactions_profile_id_kind ON panamia.interactions (profile_id, kind)",
    "CREATE INDEX ix_interactions_user_id_created_at_id ON panamia.interactions (user_id, created_at, id)",
    """CREATE TABLE panamia.screenname_history (
        id text NOT NULL,
        user_id text NOT NULL,
        screenname text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_screenname_history PRIMARY KEY (id),
        CONSTRAINT fk_screenname_history_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE
    )""",
    """CREATE INDEX ix_screenname_history_screenname
        ON panamia.screenname_history (lower(screenname), created_at, id)""",
    """CREATE INDEX ix_screenname_history_user_id_created_at_id
        ON panamia.screenname_history (user_id, created_at, id)""",
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
