-- How the app's roles and the database are otherwise than the bootstrap makes them: nothing while nobody altered them.
SELECT 'role attribute', a.name || ' of ' || r.rolname, jsonb_build_object(
    'way out', 'ALTER ROLE ' || quote_ident(r.rolname) || ' ' || a.cure)
FROM role r CROSS JOIN LATERAL (VALUES
    ('SUPERUSER', 'NOSUPERUSER', r.rolsuper), ('CREATEROLE', 'NOCREATEROLE', r.rolcreaterole),
    ('CREATEDB', 'NOCREATEDB', r.rolcreatedb), ('REPLICATION', 'NOREPLICATION', r.rolreplication),
    ('BYPASSRLS', 'NOBYPASSRLS', r.rolbypassrls), ('NOINHERIT', 'INHERIT', NOT r.rolinherit),
    ('LOGIN', 'NOLOGIN', r.rolcanlogin AND NOT r.is_login)
) a (name, cure, there)
WHERE a.there
UNION ALL
-- What keeps a login from working. One that lost its group was retired; one may be that has a working successor.
SELECT 'role attribute', a.name || ' of ' || r.rolname, jsonb_build_object(
    'way out', 'ALTER ROLE ' || quote_ident(r.rolname) || ' ' || a.cure)
FROM role r CROSS JOIN LATERAL (VALUES
    ('NOLOGIN', 'LOGIN', NOT r.rolcanlogin),
    ('VALID UNTIL ' || r.rolvaliduntil::date, 'VALID UNTIL ''infinity''', r.rolvaliduntil < now()),
    ('CONNECTION LIMIT ' || r.rolconnlimit, 'CONNECTION LIMIT -1', r.rolconnlimit <> -1)
) a (name, cure, there)
WHERE r.is_login AND a.there
    AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid AND g.rolname IN (r.team, %(owner)s))
    AND NOT EXISTS (SELECT FROM role n JOIN pg_auth_members m ON m.member = n.oid JOIN pg_roles g ON g.oid = m.roleid
        WHERE n.team = r.team AND n.rolcanlogin AND n.oid > r.oid AND g.rolname IN (r.team, %(owner)s))
UNION ALL
SELECT 'role membership', m.rolname || ' in ' || g.rolname || ' WITH ' || o.name || ' FALSE', jsonb_build_object(
    'way out', 'GRANT ' || quote_ident(g.rolname) || ' TO ' || quote_ident(m.rolname) || ' WITH ' || o.name || ' TRUE')
FROM role m JOIN pg_auth_members a ON a.member = m.oid JOIN pg_roles g ON g.oid = a.roleid
    CROSS JOIN LATERAL (VALUES -- there since 16
        ('INHERIT', (to_jsonb(a) ->> 'inherit_option')::boolean), ('SET', (to_jsonb(a) ->> 'set_option')::boolean)
    ) o (name, given)
WHERE m.is_login AND (g.rolname = m.team OR m.team = %(app)s || '_owner' AND g.rolname = %(owner)s)
GROUP BY m.rolname, g.rolname, o.name HAVING NOT bool_or(coalesce(o.given, true)) -- one of several grants is enough
UNION ALL
-- A login is a member of its group and of nothing else; a group has no other members but who administers roles.
SELECT 'role membership',
    m.rolname || ' in ' || g.rolname || CASE WHEN i.is_own THEN ' WITH ADMIN OPTION' ELSE '' END,
    jsonb_build_object('way out', 'REVOKE ' || CASE WHEN i.is_own THEN 'ADMIN OPTION FOR ' ELSE '' END
        || quote_ident(g.rolname) || ' FROM ' || quote_ident(m.rolname)
        -- since 16 each grantor's grant is one by itself, that of the first superuser if none is named
        || CASE WHEN a.grantor <> 10 AND current_setting('server_version_num')::integer >= 160000
            THEN ' GRANTED BY ' || quote_ident(pg_get_userbyid(a.grantor)) ELSE '' END)
FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid
    LEFT JOIN role ours ON ours.oid = m.oid
    CROSS JOIN LATERAL (SELECT coalesce(ours.is_login AND (g.rolname = ours.team
        OR ours.team = %(app)s || '_owner' AND g.rolname = %(owner)s), false) AS is_own) i
WHERE CASE WHEN ours.oid IS NOT NULL THEN NOT i.is_own OR a.admin_option
    ELSE g.oid IN (SELECT oid FROM role) AND NOT (m.rolsuper OR m.rolcreaterole) END
UNION ALL
SELECT 'role setting', s.name || ' of ' || r.rolname, jsonb_build_object(
    'expected', s.wanted, 'found', coalesce(s.value, 'the server''s'), 'way out', 'ALTER ROLE ' || quote_ident(r.rolname)
        || CASE WHEN s.wanted IS NULL THEN ' RESET ' || s.name ELSE ' SET ' || s.name || ' = '
            || CASE s.name WHEN 'search_path' THEN s.wanted ELSE quote_literal(s.wanted) END END)
FROM role r CROSS JOIN LATERAL (
    SELECT coalesce(w.key, h.name) AS name, w.value AS wanted, h.value
    FROM (SELECT * FROM jsonb_each_text(r.settings) WHERE r.is_login) w FULL JOIN (
        SELECT split_part(line, '=', 1) AS name, substr(line, strpos(line, '=') + 1) AS value
        FROM pg_db_role_setting d, unnest(d.setconfig) line WHERE d.setrole = r.oid AND d.setdatabase = 0
    ) h ON h.name = w.key
) s
WHERE s.wanted IS DISTINCT FROM s.value
    AND (NOT r.is_login OR EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid AND g.rolname = r.team)) -- one that was retired may be set to anything
    -- the schemas of extensions that were there before the bootstrap are added
    AND NOT (s.name = 'search_path' AND split_part(s.value, ', ', 1) = %(app)s
        AND (string_to_array(replace(s.value, '"', ''), ', '))[2:] <@ (SELECT array_agg(nspname::text) FROM searched))
UNION ALL
SELECT CASE d.setrole WHEN 0 THEN 'database setting' ELSE 'role setting' END,
    s.name || coalesce(' of ' || r.rolname || ' in this database', CASE d.setdatabase WHEN 0 THEN ' of all roles' END, ''),
    jsonb_build_object('found', s.value, 'way out', 'ALTER ' || CASE WHEN d.setrole = 0 AND d.setdatabase <> 0 THEN ''
            ELSE 'ROLE ' || coalesce(quote_ident(r.rolname), 'ALL') || CASE d.setrole WHEN 0 THEN '' ELSE ' IN ' END END
        || CASE d.setdatabase WHEN 0 THEN '' ELSE 'DATABASE ' || quote_ident(place.datname) END || ' RESET ' || s.name)
FROM place JOIN pg_db_role_setting d ON d.setdatabase = place.oid OR d.setdatabase = 0 AND d.setrole = 0
    LEFT JOIN role r ON r.oid = d.setrole CROSS JOIN unnest(d.setconfig) line
    CROSS JOIN LATERAL (SELECT split_part(line, '=', 1) AS name, substr(line, strpos(line, '=') + 1) AS value) s
WHERE (d.setrole = 0 OR r.oid IS NOT NULL)
    -- a provider's, which the logins' own settings override or which nothing here reads
    AND NOT (place.provided AND d.setrole = 0 AND (d.setdatabase = 0 OR s.name LIKE 'app.settings.%%'
        OR %(settings)s::jsonb -> (%(app)s || '_app') ? s.name))
UNION ALL
SELECT 'privilege', g.privilege_type || ' on parameter ' || p.parname || ' of ' || coalesce(r.rolname, 'PUBLIC'),
    jsonb_build_object('way out', 'REVOKE ' || g.privilege_type || ' ON PARAMETER ' || p.parname || ' FROM '
        || coalesce(quote_ident(r.rolname), 'PUBLIC'))
FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) g LEFT JOIN role r ON r.oid = g.grantee
WHERE g.grantee = 0 OR r.oid IS NOT NULL
UNION ALL
SELECT 'privilege', 'CREATE on schema ' || n.nspname || ' of ' || coalesce(r.rolname, 'PUBLIC'),
    jsonb_build_object('way out', 'REVOKE CREATE ON SCHEMA ' || quote_ident(n.nspname) || ' FROM '
        || coalesce(quote_ident(r.rolname), 'PUBLIC'))
FROM searched n CROSS JOIN LATERAL aclexplode(n.nspacl) g LEFT JOIN pg_roles r ON r.oid = g.grantee CROSS JOIN place
WHERE g.privilege_type = 'CREATE' AND g.grantee NOT IN (n.nspowner, place.datdba)
    AND (g.grantee = 0 OR r.oid IN (SELECT oid FROM role) OR NOT place.provided)
UNION ALL
-- what is PostgreSQL's own, beyond what it gives (files of the server, passwords); only superusers can grant it
SELECT 'privilege', g.privilege_type || ' on ' || o.name || ' of ' || coalesce(r.rolname, 'PUBLIC'), jsonb_build_object(
    'way out', 'REVOKE ' || g.privilege_type || o.columns || ' ON ' || o.named || ' FROM '
        || coalesce(quote_ident(r.rolname), 'PUBLIC'))
FROM (
    SELECT 'pg_proc'::regclass AS classid, oid AS objid, 0 AS part, 'function ' || oid::regprocedure AS name,
        'ROUTINE ' || oid::regprocedure AS named, '' AS columns, proacl AS acl, acldefault('f', proowner) AS usual
    FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proacl IS NOT NULL
    UNION ALL
    SELECT 'pg_class', oid, 0, 'table ' || oid::regclass, oid::regclass::text, '', relacl, NULL
    FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relacl IS NOT NULL
    UNION ALL
    SELECT 'pg_class', c.oid, a.attnum, 'column ' || c.oid::regclass || '.' || a.attname, c.oid::regclass::text,
        ' (' || quote_ident(a.attname) || ')', a.attacl, NULL
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'pg_catalog'::regnamespace AND a.attacl IS NOT NULL
) o LEFT JOIN pg_init_privs i ON i.classoid = o.classid AND i.objoid = o.objid AND i.objsubid = o.part
    CROSS JOIN LATERAL aclexplode(o.acl) g LEFT JOIN role r ON r.oid = g.grantee CROSS JOIN place
WHERE (r.oid IS NOT NULL OR g.grantee = 0 AND NOT place.provided)
    AND NOT EXISTS (SELECT FROM aclexplode(coalesce(i.initprivs, o.usual)) b
        WHERE b.grantee = g.grantee AND b.privilege_type = g.privilege_type)
UNION ALL
SELECT 'privilege', coalesce(h.privilege, w.privilege) || ' on database ' || place.datname || ' of '
        || coalesce(h.name, w.name),
    jsonb_build_object('missing', CASE WHEN h.name IS NULL THEN true END, 'way out', CASE WHEN h.name IS NULL
        THEN 'GRANT ' || w.privilege || ' ON DATABASE ' || quote_ident(place.datname) || ' TO ' || quote_ident(w.name)
        ELSE 'REVOKE ' || h.privilege || ' ON DATABASE ' || quote_ident(place.datname) || ' FROM '
            || CASE h.name WHEN 'PUBLIC' THEN h.name ELSE quote_ident(h.name) END END)
FROM (
    SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END AS name,
        g.privilege_type AS privilege
    FROM place, aclexplode(coalesce(place.datacl, acldefault('d', place.datdba))) g WHERE g.grantee <> place.datdba
) h FULL JOIN (
    SELECT r.rolname::text AS name, g.privilege, app.name = %(app)s AS is_own
    FROM app CROSS JOIN (VALUES ('_owner', 'CONNECT'), ('_owner', 'TEMPORARY'), ('_app', 'CONNECT'),
        ('_app', 'TEMPORARY'), ('_readonly', 'CONNECT')) g (suffix, privilege)
    JOIN pg_roles r ON r.rolname = CASE WHEN app.name = %(app)s AND g.suffix = '_owner' THEN %(owner)s
        ELSE app.name || g.suffix END
) w ON w.name = h.name AND w.privilege = h.privilege CROSS JOIN place
-- one that was copied or restored has no privileges yet, until the bootstrap gives them
WHERE place.datacl IS NOT NULL AND CASE WHEN h.name IS NULL THEN w.is_own AND w.name <> pg_get_userbyid(place.datdba)
    WHEN w.name IS NOT NULL THEN false
    -- a provider's services have no right to connect but everybody's
    WHEN h.name = 'PUBLIC' THEN NOT (place.provided AND EXISTS (SELECT FROM pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.oid NOT IN (SELECT oid FROM app)
            AND n.nspname NOT IN ('public', %(extension_schema)s)))
    ELSE h.name IN (SELECT rolname FROM role) OR NOT place.provided AND place.datname <> 'postgres' END
UNION ALL
SELECT 'database', place.datname::text, jsonb_build_object('expected', 'an administrator', 'found', r.rolname,
    'way out', 'ALTER DATABASE ' || quote_ident(place.datname) || ' OWNER TO CURRENT_USER')
FROM place JOIN pg_roles r ON r.oid = place.datdba
WHERE r.oid IN (SELECT oid FROM role) OR NOT (r.rolsuper OR r.rolcreaterole OR r.rolname = %(owner)s)
