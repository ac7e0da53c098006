"""Pet sitting: the example of a sidecar, an app of its own that lives in panamia's database (its design document).

To make another one: a folder like this in db/apps and in alembic/versions, a section in alembic.ini, and DATABASE. It
is deployed where the stack's `apps` name it, together with its host, and nowhere by default.
"""

DATABASE = "panamia"
