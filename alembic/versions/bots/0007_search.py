"""Full-text search over bots, workflows and tasks.

Purpose: find by words of a name or description, in English, names before descriptions
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0006_row_level_security

The search vectors are generated columns: no trigger to forget, no way to write them. A function a table does the search
with the owner's rights and the organization as its own condition. Under row-level security the server may not run `@@`
(it is not marked leakproof) before it knows whose a row is, so the application's own `search @@ query` never uses the
GIN index and reads every row of the organization. New rows wait in a list that every search reads through: 256 kB of
it cost a search 1 ms, the usual 4 MB 10.
"""

from alembic import op

revision = "0007_search"
down_revision = "0006_row_level_security"
branch_labels = None
depends_on = None

HEADINGS = {"bots": "name", "workflows": "name", "tasks": "title"}
MOST = 1000  # rows of one search


def upgrade() -> None:
    for table, heading in HEADINGS.items():
        op.execute(
            f"ALTER TABLE bots.{table} ADD COLUMN search tsvector GENERATED ALWAYS AS ("
            f"setweight(to_tsvector('english'::regconfig, {heading}), 'A') ||"
            " setweight(to_tsvector('english'::regconfig, coalesce(description, '')), 'B')) STORED"
        )
        op.execute(
            f"CREATE INDEX ix_{table}_search ON bots.{table} USING gin (search) WITH (gin_pending_list_limit = 256)"
        )
        op.execute(f"""
CREATE FUNCTION bots.search_{table}(query text, most integer DEFAULT 20)
RETURNS TABLE (id uuid, rank real)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
    words tsquery := websearch_to_tsquery('english'::regconfig, query);
BEGIN
    IF most IS NULL OR most NOT BETWEEN 1 AND {MOST} THEN
        RAISE invalid_parameter_value USING MESSAGE = format('most is %s: give 1 to {MOST} rows', most);
    END IF;
    RETURN QUERY
        SELECT t.id, ts_rank(t.search, words) FROM bots.{table} t
        WHERE t.organization_id = organization AND t.deleted_at IS NULL AND t.search @@ words
        ORDER BY 2 DESC, 1 LIMIT most;
END $$""")
        op.execute(f"REVOKE ALL ON FUNCTION bots.search_{table}(text, integer) FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION bots.search_{table}(text, integer) TO bots_readonly")


def downgrade() -> None:
    for table in HEADINGS:
        op.execute(f"DROP FUNCTION bots.search_{table}(text, integer)")
        op.execute(f"ALTER TABLE bots.{table} DROP COLUMN search")
