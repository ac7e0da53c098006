"""Target `docker`: PostgreSQL, PgBouncer and pgBackRest as containers of one Docker host."""
