SELECT 'trigger', c.called || '.' || t.tgname, jsonb_build_object(
    'definition', pg_get_triggerdef(t.oid),
    'fires', CASE t.tgenabled WHEN 'D' THEN 'never: disabled' WHEN 'R' THEN 'on replicas only' WHEN 'A' THEN 'always' END,
    'comment', obj_description(t.oid, 'pg_trigger')
)
FROM relation c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'rule', c.called || '.' || r.rulename, jsonb_build_object(
    'definition', pg_get_ruledef(r.oid),
    'fires', CASE r.ev_enabled WHEN 'D' THEN 'never: disabled' WHEN 'R' THEN 'on replicas only' WHEN 'A' THEN 'always' END,
    'comment', obj_description(r.oid, 'pg_rewrite')
)
FROM relation c JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', c.called || '.' || p.polname, jsonb_build_object(
    'kind', CASE WHEN NOT p.polpermissive THEN 'restrictive' END,
    'for', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END,
    'to', (SELECT jsonb_agg(CASE r.oid WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r.oid)::text END)
        FROM unnest(p.polroles) AS r (oid)),
    'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'comment', obj_description(p.oid, 'pg_policy')
)
FROM relation c JOIN pg_policy p ON p.polrelid = c.oid
