-- What the other files of this folder look at: the app's schema without the objects that an extension put there.
-- Each of them gives rows of (kind, name, definition), and leaves out of the definition what is PostgreSQL's default.
WITH schema AS MATERIALIZED (
    SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = %(app)s
), member AS MATERIALIZED (
    SELECT classid, objid, refobjid AS extension FROM pg_depend
    WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
), relation AS MATERIALIZED (
    SELECT c.* FROM pg_class c JOIN schema s ON s.oid = c.relnamespace
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
)
