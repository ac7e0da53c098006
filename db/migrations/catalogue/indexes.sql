SELECT 'index', t.called || '.' || c.relname, jsonb_build_object(
    'definition', pg_get_indexdef(c.oid),
    'state', CASE WHEN NOT (x.indisvalid AND x.indisready AND x.indislive) THEN 'INVALID' END,
    'clustered', CASE WHEN x.indisclustered THEN true END,
    'replica identity', CASE WHEN x.indisreplident THEN true END,
    'part of', (SELECT p.relname FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid),
    'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
    'statistics', (SELECT jsonb_object_agg(a.attname, a.attstattarget) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attstattarget >= 0),
    'comment', obj_description(c.oid, 'pg_class')
)
FROM relation c JOIN pg_index x ON x.indexrelid = c.oid JOIN relation t ON t.oid = x.indrelid
UNION ALL
SELECT 'statistics object', x.stxname::text, jsonb_build_object(
    'definition', pg_get_statisticsobjdef(x.oid),
    'owner', pg_get_userbyid(x.stxowner),
    'statistics', nullif(x.stxstattarget, -1),
    'comment', obj_description(x.oid, 'pg_statistic_ext')
)
FROM pg_statistic_ext x JOIN schema s ON s.oid = x.stxnamespace
