SELECT 'schema', nspname::text, jsonb_build_object(
    'owner', pg_get_userbyid(nspowner), 'comment', obj_description(oid, 'pg_namespace'))
FROM schema
UNION ALL
-- extensions that every app is given, those that its tables, indexes, defaults and functions are made of, and those that
-- nobody gave: a provider's stand neither in the schema nor in public
SELECT 'extension', e.extname::text, jsonb_build_object(
    'version', array_to_string((string_to_array(e.extversion, '.'))[1:2], '.'), -- providers differ in the third number
    'usable by', (SELECT jsonb_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r
        WHERE r.rolname = ANY (%(groups)s) AND has_schema_privilege(r.oid, e.extnamespace, 'USAGE'))
)
FROM pg_extension e JOIN pg_roles o ON o.oid = e.extowner CROSS JOIN place
WHERE e.extname <> ALL (%(extensions)s) AND (NOT (place.provided AND o.rolsuper)
        OR e.extnamespace IN (SELECT oid FROM schema UNION ALL SELECT to_regnamespace('public')))
    OR e.extname = ANY (%(required)s) OR EXISTS (
    SELECT FROM pg_depend d JOIN member m ON m.classid = d.refclassid AND m.objid = d.refobjid
    WHERE m.extension = e.oid AND (
        d.classid = 'pg_class'::regclass AND d.objid IN (SELECT oid FROM relation)
        OR d.classid = 'pg_attrdef'::regclass
            AND d.objid IN (SELECT f.oid FROM pg_attrdef f JOIN relation c ON c.oid = f.adrelid)
        OR d.classid = 'pg_constraint'::regclass
            AND d.objid IN (SELECT o.oid FROM pg_constraint o JOIN relation c ON c.oid = o.conrelid)
        OR d.classid = 'pg_proc'::regclass AND d.objid IN (SELECT oid FROM routine)
        OR d.classid = 'pg_type'::regclass AND d.objid IN (SELECT oid FROM type)
    )
)
UNION ALL
-- operators, collations, text search configurations and whatever else no other file names
SELECT 'further object', i.type || ' ' || i.identity,
    jsonb_build_object('way out', 'DROP ' || upper(i.type) || ' ' || i.identity)
FROM pg_depend d JOIN schema s ON d.refobjid = s.oid, pg_identify_object(d.classid, d.objid, 0) i
WHERE d.refclassid = 'pg_namespace'::regclass AND d.deptype = 'n'
    AND d.classid <> ALL (ARRAY['pg_class', 'pg_type', 'pg_proc', 'pg_statistic_ext', 'pg_default_acl',
        'pg_extension']::regclass[])
    AND NOT EXISTS (SELECT FROM member m WHERE m.classid = d.classid AND m.objid = d.objid)
UNION ALL
SELECT 'extension member', i.type || ' ' || i.identity || ' of ' || e.extname, jsonb_build_object(
    'way out', 'ALTER EXTENSION ' || quote_ident(e.extname) || ' DROP ' || upper(i.type) || ' ' || i.identity)
FROM extended e JOIN inside USING (classid, objid) JOIN schema s ON s.oid <> e.extnamespace
    CROSS JOIN LATERAL pg_identify_object(e.classid, e.objid, 0) i
