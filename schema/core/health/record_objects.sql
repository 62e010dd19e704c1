-- The last step of each migration run: from here on, whatever differs was changed by somebody else.
DELETE FROM entasis_internal.made_objects;
INSERT INTO entasis_internal.made_objects (kind, object_name, digest, written)
SELECT
    n.kind,
    n.object_name,
    n.digest,
    CASE n.kind
        WHEN 'constraint' THEN pg_get_constraintdef(n.object_oid)
        WHEN 'index' THEN pg_get_indexdef(n.object_oid)
    END AS written
FROM entasis_internal.objects_now() AS n;
