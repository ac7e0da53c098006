"""A membership is active by its user's consent alone.

Purpose: an active member's name and address are shown to the organization, so nobody else may make them one
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0010_retention

Whoever is not the member (app.user_id) may invite, suspend whom that does not let in, and end; of an invitation or of
a membership that was ended only the member makes an active one. So an invitation that is to be taken back is deleted,
and who was deleted is invited again. A suspended member had joined, so their suspension may be ended by others.
Who founds an organization is its first member by their own act. The owner's login imports and seeds as it likes.
"""

from alembic import op

revision = "0011_consent"
down_revision = "0010_retention"
branch_labels = None
depends_on = None

REQUIRE_CONSENT = """
CREATE FUNCTION bots.require_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_has_role(current_user, 'bots_owner', 'USAGE') THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.user_id <> OLD.user_id THEN
        RAISE check_violation USING
            MESSAGE = 'a membership keeps its user',
            HINT = 'invite the other user by a row of their own';
    END IF;
    IF NEW.status <> 'invited'
        AND NEW.user_id IS DISTINCT FROM nullif(current_setting('app.user_id', true), '')::uuid
        AND (TG_OP = 'INSERT' OR OLD.status = 'invited' OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL))
    THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('a membership becomes %s by its own user alone', NEW.status),
            HINT = 'write it as invited; the user accepts in a transaction whose app.user_id is theirs';
    END IF;
    RETURN NEW;
END $$"""


def upgrade() -> None:
    op.execute(REQUIRE_CONSENT)
    op.execute(
        "CREATE TRIGGER consent BEFORE INSERT OR UPDATE ON bots.organization_members FOR EACH ROW"
        " EXECUTE FUNCTION bots.require_consent()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER consent ON bots.organization_members")
    op.execute("DROP FUNCTION bots.require_consent()")
