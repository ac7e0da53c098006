SELECT 'grants', o.name, jsonb_object_agg(o.grantee, o.privileges)
FROM (
    -- whoever owns it now is called the owner: that it is somebody else is told of the object itself
    SELECT o.name, CASE g.grantee WHEN 0 THEN 'PUBLIC' WHEN o.owner THEN %(owner)s
            ELSE pg_get_userbyid(g.grantee)::text END AS grantee,
        jsonb_agg(DISTINCT g.privilege_type || CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
            AS privileges
    FROM (
        SELECT 'schema ' || nspname AS name, nspowner AS owner,
            coalesce(nspacl, acldefault('n', nspowner)) AS acl FROM schema
        UNION ALL
        SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'S' THEN 'sequence '
                ELSE 'table ' END || called, relowner,
            coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
        FROM relation WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
        UNION ALL
        SELECT 'column ' || c.called || '.' || a.attname, c.relowner, a.attacl
        FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
        UNION ALL
        SELECT CASE prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' WHEN 'w' THEN 'window function '
                ELSE 'function ' END || signature, proowner,
            coalesce(proacl, acldefault('f', proowner)) FROM routine
        UNION ALL
        SELECT 'type ' || typname, typowner, coalesce(typacl, acldefault('T', typowner)) FROM type
        UNION ALL
        -- what is created later; without a schema, the whole of it; in one, what is added to that; a provider's roles
        -- and other apps' make nothing here
        SELECT CASE d.defaclobjtype WHEN 'r' THEN 'future tables' WHEN 'S' THEN 'future sequences'
                WHEN 'f' THEN 'future functions' WHEN 'T' THEN 'future types' WHEN 'n' THEN 'future schemas'
                ELSE 'future large objects' END
            || CASE d.defaclnamespace WHEN 0 THEN ' anywhere' ELSE '' END || ' of ' || pg_get_userbyid(d.defaclrole),
            d.defaclrole, d.defaclacl
        FROM pg_default_acl d LEFT JOIN schema s ON s.oid = d.defaclnamespace
            CROSS JOIN place
        WHERE s.oid IS NOT NULL OR d.defaclnamespace = 0 AND (pg_get_userbyid(d.defaclrole) = %(owner)s
            OR d.defaclrole IN (SELECT oid FROM role) OR NOT place.provided
                AND pg_get_userbyid(d.defaclrole) <> ALL (SELECT name || '_owner' FROM app))
    ) o, aclexplode(o.acl) g
    -- what whoever makes things gives itself is its own business
    WHERE (o.name NOT LIKE 'future %%' OR g.grantee <> o.owner OR pg_get_userbyid(o.owner) = %(owner)s)
        AND g.privilege_type <> 'MAINTAIN' -- 17 and later: VACUUM, ANALYZE and the like, which owners do
    GROUP BY 1, 2
) o
GROUP BY o.name
