"""A membership takes two: somebody of the organization invites, and the user alone makes the invitation active.

Purpose: members see each other's names and addresses, so nobody is made one unasked, and nobody makes themselves one
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0010_retention

Whoever is not the member (app.user_id) may invite, suspend whom that does not let in, end a suspension, and end the
membership; who was deleted is invited again, and an invitation that is to be taken back is deleted. The member accepts
an invitation in the role it names, and may leave; out of a suspension or an end somebody else brings them. Inserting
one's own membership is for the founder: who made the organization, while it has had no member yet.
The function has its caller's rights, so it sees the rows of app.organization_id; for any other organization the policy
refuses the row anyway. The owner's login imports and seeds as it likes.
"""

from alembic import op

revision = "0011_consent"
down_revision = "0010_retention"
branch_labels = None
depends_on = None

REQUIRE_CONSENT = """
CREATE FUNCTION bots.require_consent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own boolean := coalesce(NEW.user_id = nullif(current_setting('app.user_id', true), '')::uuid, false);
BEGIN
    IF pg_has_role(current_user, 'bots_owner', 'USAGE') THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.user_id <> OLD.user_id THEN
        RAISE check_violation USING
            MESSAGE = 'a membership keeps its user',
            HINT = 'invite the other user by a row of their own';
    END IF;
    IF NOT own AND NEW.status <> 'invited'
        AND (TG_OP = 'INSERT' OR OLD.status = 'invited' OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL))
    THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('a membership becomes %s by its own user alone', NEW.status),
            HINT = 'write it as invited; the user accepts in a transaction whose app.user_id is theirs';
    END IF;
    IF own AND TG_OP = 'INSERT' AND (
        NOT EXISTS (
            SELECT FROM bots.organizations o WHERE o.id = NEW.organization_id AND o.created_by_id = NEW.user_id
        ) OR EXISTS (SELECT FROM bots.organization_members m WHERE m.organization_id = NEW.organization_id)
    ) THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'who joins an organization is invited by somebody else',
            HINT = 'somebody else writes the membership as invited; only who founds an organization needs nobody';
    END IF;
    IF own AND TG_OP = 'UPDATE' AND (OLD.deleted_at IS NOT NULL OR OLD.status <> 'active') AND (
        (NEW.role_id, NEW.role_is_system) IS DISTINCT FROM (OLD.role_id, OLD.role_is_system)
        OR (OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL)
        OR (NEW.status <> OLD.status AND (OLD.status = 'suspended' OR OLD.deleted_at IS NOT NULL))
    ) THEN
        RAISE insufficient_privilege USING
            MESSAGE = 'members do not end their own suspension, return uninvited, or choose the role of an invitation',
            HINT = 'somebody else ends the suspension, or invites again';
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
