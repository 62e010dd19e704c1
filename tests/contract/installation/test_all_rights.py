"""All rights, compared as a whole with the page that lists them."""

from tests import rights
from tests.db import Connection
from tests.engines import Database


def test_the_page_lists_every_right(connection: Connection, database: Database) -> None:
    connection.execute(
        "INSERT INTO entasis.market_data (symbol, exchange, timestamp, id, price, volume)"
        " VALUES ('a', 'b', now(), 1, 1, 1)"
    )
    found = rights.of_database(connection)
    listed = rights.of_page(database.engine)
    assert len(listed) > 80
    changed = [
        *(f"- {row[0]}: {rights.line(row)}" for row in sorted(listed - found)),
        *(f"+ {row[0]}: {rights.line(row)}" for row in sorted(found - listed)),
    ]
    assert not changed, f"{rights.PAGE.name} differs:\n" + "\n".join(changed)


def test_the_owner_has_all_rights_on_everything(connection: Connection) -> None:
    lacking = connection.execute(
        """
        WITH objects (name, kind, acl, owner) AS (
            SELECT oid::regclass::text, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
                relacl, relowner
            FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'entasis%'
                AND relkind IN ('r', 'p', 'v', 'S')
            UNION ALL
            SELECT oid::regprocedure::text, 'f', proacl, proowner
            FROM pg_proc WHERE pronamespace::regnamespace::text LIKE 'entasis%'
            UNION ALL
            SELECT nspname, 'n', nspacl, nspowner FROM pg_namespace WHERE nspname LIKE 'entasis%'
        )
        SELECT o.name FROM objects AS o
        CROSS JOIN LATERAL aclexplode(acldefault(o.kind, o.owner)) AS d
        WHERE d.grantee = o.owner AND o.acl IS NOT NULL AND NOT EXISTS (
            SELECT FROM aclexplode(o.acl) AS a
            WHERE a.grantee = o.owner AND a.privilege_type = d.privilege_type)
        """
    ).fetchall()
    assert lacking == []
