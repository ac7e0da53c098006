SELECT 'constraint', c.called || '.' || o.conname, jsonb_build_object(
    'definition', pg_get_constraintdef(o.oid),
    -- a foreign key is enforced by triggers of the server's own, which a superuser can switch off
    'enforced', (SELECT 'not: its triggers are disabled' FROM pg_trigger g
        WHERE g.tgconstraint = o.oid AND g.tgisinternal AND g.tgenabled <> 'O' LIMIT 1),
    'comment', obj_description(o.oid, 'pg_constraint')
)
FROM relation c JOIN pg_constraint o ON o.conrelid = c.oid AND o.contype NOT IN ('n', 't')
