SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, c.called, jsonb_build_object(
    'columns', (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'definition', pg_get_viewdef(c.oid),
    'state', CASE WHEN NOT c.relispopulated THEN 'empty: never refreshed' END,
    'options', to_jsonb(c.reloptions),
    'owner', pg_get_userbyid(c.relowner),
    'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
    'comment', obj_description(c.oid, 'pg_class')
)
FROM relation c WHERE c.relkind IN ('v', 'm')
UNION ALL
SELECT 'sequence', c.called, jsonb_build_object(
    'type', format_type(q.seqtypid, NULL),
    'start', nullif(q.seqstart, 1),
    'increment', nullif(q.seqincrement, 1),
    'minimum', nullif(q.seqmin, 1),
    'maximum', q.seqmax,
    'cache', nullif(q.seqcache, 1),
    'cycle', nullif(q.seqcycle, false),
    'persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END,
    'belongs to', (SELECT t.called || '.' || a.attname FROM pg_depend d JOIN relation t ON t.oid = d.refobjid
        JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
            AND d.deptype IN ('a', 'i')),
    'owner', pg_get_userbyid(c.relowner),
    'comment', obj_description(c.oid, 'pg_class')
)
FROM relation c JOIN pg_sequence q ON q.seqrelid = c.oid
