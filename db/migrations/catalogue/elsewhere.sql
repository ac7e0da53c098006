-- What stands outside the app's schema and should not: there is none of it in a database that nobody altered.
-- Each row brings its own way out; a table's is to look first.
SELECT 'stray object', i.type || ' ' || i.identity, jsonb_build_object('way out',
    CASE WHEN i.type NOT IN ('table', 'materialized view') THEN 'DROP ' || upper(i.type) || ' ' || i.identity END)
FROM searched n JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid AND d.deptype = 'n'
    CROSS JOIN place CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) i
WHERE d.classid <> ALL (ARRAY['pg_default_acl', 'pg_extension', 'pg_publication_namespace']::regclass[])
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = d.classid AND m.objid = d.objid)
    -- sequences go with the table that they belong to
    AND NOT EXISTS (SELECT FROM pg_depend b WHERE b.classid = d.classid AND b.objid = d.objid
        AND b.refclassid = 'pg_class'::regclass AND b.refobjsubid > 0 AND b.deptype IN ('a', 'i'))
    -- who owns it; the server's first superuser is never written down
    AND NOT (place.provided AND coalesce((SELECT r.rolsuper FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
        WHERE s.dbid = place.oid AND s.classid = d.classid AND s.objid = d.objid AND s.deptype = 'o'), true))
    -- what a provider's event triggers call
    AND NOT (place.provided AND EXISTS (SELECT FROM pg_event_trigger t
        WHERE d.classid = 'pg_proc'::regclass AND t.evtfoid = d.objid))
UNION ALL
SELECT 'stray schema', n.nspname::text, '{}'
FROM pg_namespace n CROSS JOIN place
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.oid NOT IN (SELECT oid FROM app)
    AND n.oid NOT IN (SELECT oid FROM searched) AND NOT (n.nspname = ANY (%(providers)s) AND place.provided)
    AND NOT (n.nspname = %(pooler_schema)s AND (place.provided OR place.datname = 'postgres'))
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_namespace'::regclass AND m.objid = n.oid)
UNION ALL
-- what is made of our tables, types and functions: partitions, heirs, foreign keys, views, functions
SELECT 'stray object', i.type || ' ' || i.identity, jsonb_build_object('way out', CASE
    WHEN o.conname IS NOT NULL THEN 'ALTER TABLE ' || o.relation || ' DROP CONSTRAINT ' || quote_ident(o.conname)
    WHEN o.relispartition AND o.relkind <> 'i'
        THEN 'ALTER TABLE ' || o.relation || ' SET SCHEMA ' || quote_ident(%(app)s)
    WHEN o.classid <> 'pg_class'::regclass OR o.relkind IN ('v', 'S', 'i')
        THEN 'DROP ' || upper(i.type) || ' ' || i.identity END, 'bounds', o.bounds)
FROM (
    SELECT DISTINCT
        CASE WHEN w.oid IS NULL AND f.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END AS classid,
        coalesce(w.ev_class, f.adrelid, d.objid) AS objid, c.relkind,
        c.relnamespace::regnamespace || '.' || quote_ident(c.relname) AS relation,
        c.relispartition AND d.classid = 'pg_class'::regclass AS relispartition, k.conname,
        -- beginning with the table it is a partition of
        (SELECT p.relname || ' ' || pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class p
            ON p.oid = i.inhparent WHERE i.inhrelid = c.oid AND c.relkind <> 'i') AS bounds,
        coalesce(c.relnamespace, p.pronamespace, t.typnamespace) AS namespace
    FROM (
        SELECT 'pg_class'::regclass AS classid, oid FROM relation
        UNION ALL SELECT 'pg_proc', oid FROM routine
        UNION ALL SELECT 'pg_type', oid FROM pg_type WHERE typnamespace IN (SELECT oid FROM schema)
    ) ours
    JOIN pg_depend d ON d.refclassid = ours.classid AND d.refobjid = ours.oid AND d.deptype IN ('n', 'a')
    LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
    LEFT JOIN pg_policy y ON d.classid = 'pg_policy'::regclass AND y.oid = d.objid
    LEFT JOIN pg_class c ON c.oid = coalesce(k.conrelid, w.ev_class, f.adrelid, g.tgrelid, y.polrelid,
        CASE d.classid WHEN 'pg_class'::regclass THEN d.objid END)
    LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
    -- what a partition has of its parent comes and goes with it
    WHERE coalesce(k.conparentid, 0) = 0 AND coalesce(g.tgparentid, 0) = 0 AND NOT coalesce(g.tgisinternal, false)
        AND coalesce(c.relnamespace, p.pronamespace, t.typnamespace) NOT IN (SELECT oid FROM app)
) o JOIN pg_namespace n ON n.oid = o.namespace CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, 0) i
WHERE n.nspname !~ '^pg_' -- a session's temporary tables may use our types
UNION ALL
SELECT 'event trigger', t.evtname::text, jsonb_build_object('way out', 'DROP EVENT TRIGGER ' || quote_ident(t.evtname))
FROM pg_event_trigger t JOIN pg_roles r ON r.oid = t.evtowner CROSS JOIN place
WHERE NOT (place.provided AND r.rolsuper)
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_event_trigger'::regclass AND m.objid = t.oid)
UNION ALL
SELECT 'publication', p.pubname || ' of ' || c.called, jsonb_build_object('way out',
    'ALTER PUBLICATION ' || quote_ident(p.pubname) || ' DROP TABLE ' || c.oid::regclass)
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN relation c ON c.oid = r.prrelid
UNION ALL
SELECT 'publication', p.pubname || ' of all tables in schema ' || s.nspname, jsonb_build_object('way out',
    'ALTER PUBLICATION ' || quote_ident(p.pubname) || ' DROP TABLES IN SCHEMA ' || quote_ident(s.nspname))
FROM pg_publication_namespace n JOIN pg_publication p ON p.oid = n.pnpubid JOIN schema s ON s.oid = n.pnnspid
UNION ALL
SELECT 'publication', p.pubname || ' of all tables', jsonb_build_object('way out',
    'DROP PUBLICATION ' || quote_ident(p.pubname))
FROM pg_publication p JOIN pg_roles r ON r.oid = p.pubowner CROSS JOIN place
WHERE p.puballtables AND NOT (place.provided AND r.rolsuper)
UNION ALL
-- what belongs to no schema: casts, languages, foreign servers
SELECT 'stray object', i.type || ' ' || i.identity, jsonb_build_object('way out',
    'DROP ' || replace(upper(i.type), '-', ' ') || ' ' || i.identity)
FROM (
    SELECT 'pg_cast'::regclass AS classid, oid, NULL::oid AS owner FROM pg_cast
    UNION ALL SELECT 'pg_language', oid, lanowner FROM pg_language
    UNION ALL SELECT 'pg_foreign_server', oid, srvowner FROM pg_foreign_server
    UNION ALL SELECT 'pg_foreign_data_wrapper', oid, fdwowner FROM pg_foreign_data_wrapper
) o CROSS JOIN LATERAL pg_identify_object(o.classid, o.oid, 0) i CROSS JOIN place
WHERE o.oid >= 16384 -- those below are PostgreSQL's own
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.oid AND d.deptype = 'i') -- a range's
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = o.classid AND m.objid = o.oid)
    AND NOT (place.provided AND coalesce((SELECT rolsuper FROM pg_roles r WHERE r.oid = o.owner), true))
