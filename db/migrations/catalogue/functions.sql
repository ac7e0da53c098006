SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function'
        ELSE 'function' END,
    p.signature, jsonb_build_object(
    'arguments', nullif(pg_get_function_arguments(p.oid), pg_get_function_identity_arguments(p.oid)),
    'returns', pg_get_function_result(p.oid),
    'language', l.lanname,
    'volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' END,
    'null arguments', CASE WHEN p.proisstrict THEN 'give null' END,
    'runs with the rights of', CASE WHEN p.prosecdef THEN 'its owner' END,
    'leakproof', nullif(p.proleakproof, false),
    'parallel', CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END,
    'cost', nullif(p.procost, CASE WHEN l.lanname IN ('c', 'internal') THEN 1 ELSE 100 END),
    'rows', CASE WHEN p.proretset THEN nullif(p.prorows, 1000) END,
    'support', nullif(p.prosupport::oid, 0)::regproc::text,
    'settings', to_jsonb(p.proconfig),
    'transforms', to_jsonb(p.protrftypes::regtype[]::text[]),
    'library', p.probin,
    'aggregate', (SELECT to_jsonb(a) - 'aggfnoid' FROM pg_aggregate a WHERE a.aggfnoid = p.oid),
    'owner', pg_get_userbyid(p.proowner),
    'comment', obj_description(p.oid, 'pg_proc'),
    'body', to_jsonb(string_to_array(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), E'\n'))
)
FROM routine p JOIN pg_language l ON l.oid = p.prolang
