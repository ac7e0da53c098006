"""Listings and bookings of pet sitting, with foreign keys to panamia's users (panamia.md, "Sidecar Architecture").

Purpose: members book each other's pet sitting without a second account
Ticket: N/A
Reversible: Yes
Rollback: alembic -n petsitting downgrade base

Runs after panamia's migrations and a bootstrap since, which lets this schema's owner refer to panamia.users. A user who
leaves takes listings and bookings along: a guest must not keep its host from deleting an account. A booking's sitter is
its listing's, by a key of both columns; so a listing that is booked keeps its sitter.
"""

from alembic import op

revision = "0001_initial_schema"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("listings", "bookings")
TOUCH = """CREATE FUNCTION petsitting.touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.updated_at := pg_catalog.clock_timestamp();
        RETURN NEW;
    END
    $$"""
STATEMENTS = (
    """CREATE TABLE petsitting.listings (
        id text NOT NULL,
        sitter_id text NOT NULL,
        title text NOT NULL,
        description text,
        price_cents integer NOT NULL,
        is_active boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_listings PRIMARY KEY (id),
        CONSTRAINT uq_listings_id_sitter_id UNIQUE (id, sitter_id),
        CONSTRAINT ck_listings_price_cents CHECK (price_cents >= 0),
        CONSTRAINT fk_listings_sitter_id_users
            FOREIGN KEY (sitter_id) REFERENCES panamia.users (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_listings_sitter_id_created_at_id ON petsitting.listings (sitter_id, created_at, id)",
    """CREATE TABLE petsitting.bookings (
        id text NOT NULL,
        owner_id text NOT NULL,
        sitter_id text NOT NULL,
        listing_id text NOT NULL,
        status text NOT NULL DEFAULT 'requested',
        starts_on date NOT NULL,
        ends_on date NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_bookings PRIMARY KEY (id),
        CONSTRAINT ck_bookings_status
            CHECK (status IN ('requested', 'confirmed', 'declined', 'cancelled', 'completed')),
        CONSTRAINT ck_bookings_not_oneself CHECK (owner_id <> sitter_id),
        CONSTRAINT ck_bookings_days CHECK (ends_on >= starts_on),
        CONSTRAINT fk_bookings_owner_id_users
            FOREIGN KEY (owner_id) REFERENCES panamia.users (id) ON DELETE CASCADE,
        CONSTRAINT fk_bookings_sitter_id_users
            FOREIGN KEY (sitter_id) REFERENCES panamia.users (id) ON DELETE CASCADE,
        CONSTRAINT fk_bookings_listing_id_sitter_id_listings
            FOREIGN KEY (listing_id, sitter_id) REFERENCES petsitting.listings (id, sitter_id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_bookings_owner_id_created_at_id ON petsitting.bookings (owner_id, created_at, id)",
    "CREATE INDEX ix_bookings_sitter_id_created_at_id ON petsitting.bookings (sitter_id, created_at, id)",
    "CREATE INDEX ix_bookings_listing_id_sitter_id_starts_on ON petsitting.bookings (listing_id, sitter_id, starts_on)",
)


def upgrade() -> None:
    op.execute(TOUCH)
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_touch BEFORE UPDATE ON petsitting.{table}"
            " FOR EACH ROW EXECUTE FUNCTION petsitting.touch()"
        )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema="petsitting")
    op.execute("DROP FUNCTION petsitting.touch()")
