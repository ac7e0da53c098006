-- What the other files of this folder look at: the app's schema without the objects of an extension that lives there.
-- Each of them gives rows of (kind, name, definition), and leaves out of the definition what is PostgreSQL's default.
WITH schema AS MATERIALIZED (
    SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = %(app)s
), inside AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d JOIN schema s ON s.oid = d.refobjid
    WHERE d.refclassid = 'pg_namespace'::regclass
), extended AS MATERIALIZED (
    SELECT d.classid, d.objid, e.oid AS extension, e.extname, e.extnamespace
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
), member AS MATERIALIZED (
    -- what somebody added to an extension that lives elsewhere is the app's all the same
    SELECT classid, objid, extension FROM extended
    WHERE extnamespace IN (SELECT oid FROM schema) OR (classid, objid) NOT IN (SELECT classid, objid FROM inside)
), relation AS MATERIALIZED (
    -- called: what splits names at dots must not split this one
    SELECT c.*, CASE WHEN c.relname ~ '[."]' THEN quote_ident(c.relname) ELSE c.relname::text END AS called
    FROM pg_class c JOIN schema s ON s.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
), routine AS MATERIALIZED (
    SELECT p.*, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS signature
    FROM pg_proc p JOIN schema s ON s.oid = p.pronamespace
    WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
        -- a range brings its constructors along
        AND NOT EXISTS (SELECT FROM pg_depend d
            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
), type AS MATERIALIZED (
    -- not the row types of tables, nor arrays and multiranges, which come with what they are of
    SELECT t.* FROM pg_type t JOIN schema s ON s.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.typtype <> 'm' AND t.typcategory <> 'A' AND (t.typrelid = 0 OR c.relkind = 'c')
        AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
), place AS MATERIALIZED (
    -- Where the database's owner administers without being a superuser, somebody provides the server, and what belongs
    -- to a superuser is the provider's business.
    SELECT d.oid, d.datname, d.datdba, d.datacl, r.rolcreaterole AND NOT r.rolsuper AS provided
    FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database()
), app AS MATERIALIZED (
    -- this one, and those that live here too: their own checks look at them
    SELECT n.oid, n.nspname AS name FROM pg_namespace n
    WHERE n.nspname = %(app)s OR n.nspname = ANY (%(apps)s) AND (
        pg_get_userbyid(n.nspowner) IN (n.nspname || '_owner', %(owner)s)
        OR EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'alembic_version'))
), searched AS MATERIALIZED (
    -- the schemas in which sessions look for a name after the app's own
    SELECT n.* FROM pg_namespace n
    WHERE n.nspname IN ('public', %(extension_schema)s) OR n.nspname <> 'pg_catalog' AND n.oid NOT IN (SELECT oid FROM app)
        AND EXISTS (SELECT FROM pg_extension e WHERE e.extnamespace = n.oid AND e.extname = ANY (%(extensions)s))
), role AS MATERIALIZED (
    -- the app's groups, and the logins of each, which have its name and a number
    SELECT r.*, g.key AS team, g.value AS settings, r.rolname <> g.key AS is_login
    FROM jsonb_each(%(settings)s) g JOIN pg_roles r ON r.rolname = g.key OR r.rolname ~ ('^' || g.key || '_[0-9]+$')
)
