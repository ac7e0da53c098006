SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' WHEN 'c' THEN 'composite type'
        ELSE 'type' END,
    t.typname::text, jsonb_build_object(
    'values', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
    'columns', (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND t.typrelid <> 0),
    'of', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
    'nullable', CASE WHEN t.typtype = 'd' AND NOT t.typnotnull THEN true END,
    'default', t.typdefault,
    'constraints', (SELECT jsonb_object_agg(o.conname, pg_get_constraintdef(o.oid)) FROM pg_constraint o
        WHERE o.contypid = t.oid AND o.contype <> 'n'),
    'collation', (SELECT t.typcollation::regcollation::text FROM pg_type b
        WHERE b.oid = t.typbasetype AND b.typcollation <> t.typcollation),
    'range', (SELECT jsonb_build_object('of', format_type(r.rngsubtype, NULL), 'operators', o.opcname,
            'canonical', nullif(r.rngcanonical::oid, 0)::regproc::text,
            'difference', nullif(r.rngsubdiff::oid, 0)::regproc::text,
            'collation', nullif(r.rngcollation, 0)::regcollation::text,
            'multirange', format_type(r.rngmultitypid, NULL))
        FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid),
    'owner', pg_get_userbyid(t.typowner),
    'comment', obj_description(t.oid, 'pg_type')
)
FROM type t
