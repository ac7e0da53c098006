SELECT 'table' AS kind, c.called AS name, jsonb_build_object(
    'columns', (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'owner', pg_get_userbyid(c.relowner),
    'kind', CASE c.relkind WHEN 'f' THEN 'foreign table' END,
    'partitioned by', pg_get_partkeydef(c.oid),
    'part of', (SELECT jsonb_agg(p.relname ORDER BY i.inhseqno) FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
        WHERE i.inhrelid = c.oid),
    'being detached', (SELECT true FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhdetachpending),
    'bounds', pg_get_expr(c.relpartbound, c.oid),
    'persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END,
    'row security', CASE WHEN c.relrowsecurity THEN 'enabled' END,
    'row security of the owner', CASE WHEN c.relforcerowsecurity THEN 'forced' END,
    'options', to_jsonb(c.reloptions),
    'toast options', (SELECT to_jsonb(t.reloptions) FROM pg_class t WHERE t.oid = c.reltoastrelid),
    'replica identity', CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'an index' END,
    'access method', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap'),
    'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
    'row type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
    'comment', obj_description(c.oid, 'pg_class')
) AS definition
FROM relation c WHERE c.relkind IN ('r', 'p', 'f')
