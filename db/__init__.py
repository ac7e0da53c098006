"""The library that applications and infra import; it knows nothing of Pulumi or Docker.

Importing it, `db.apps`, `db.migrations`, `db.seeds` or `db.bootstrap` loads neither SQLAlchemy nor psycopg: an
unchanged deployment imports them only to compare checksums.
"""
