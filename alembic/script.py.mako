"""${message}.

Purpose: why this change is needed, in a sentence
Ticket: N/A
Reversible: Yes
Rollback: alembic -n ${config.config_ini_section} downgrade ${down_revision if down_revision else "base"}

Rule: the previous release runs while and after this is applied. So add before you remove: new columns are nullable or
have a default, nothing that running code uses is dropped, renamed or narrowed; that comes a release later.
Once committed this file is never edited: its checksum stands in every database. Mend it with another revision.
When it is finished: `pgstack migrate sum ${config.config_ini_section}`, then `pgstack migrate lint`, which says how to mend what it refuses.
"""

import sqlalchemy as sa
${imports if imports else ""}
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
