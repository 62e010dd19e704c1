"""How routines are written: one of a name, and no parameter that a column could be taken for."""

import pytest

from entasis_db.resources import schema_order
from tests.db import Connection
from tests.engines import Database
from tests.routines import Routine, routines

pytestmark = [pytest.mark.newest_server, pytest.mark.native_speed_when_short]


def of_schema(database: Database) -> dict[str, Routine]:
    order = schema_order(database.engine)
    return routines((*order.bootstrap, *order.state, *order.stateless))


def names(connection: Connection, query: str, *values: object) -> set[str]:
    return {name for (name,) in connection.execute(query, values).fetchall()}


def test_every_routine_is_read_here(connection: Connection, database: Database) -> None:
    assert set(of_schema(database)) == names(
        connection,
        "SELECT format('%%I.%%I', pronamespace::regnamespace, proname) FROM pg_proc"
        " WHERE pronamespace::regnamespace::text IN ('entasis', 'entasis_internal')",
    )


def test_no_routine_is_overloaded(connection: Connection) -> None:
    # GRANT and COMMENT name routines without their arguments
    assert not names(
        connection,
        "SELECT proname FROM pg_proc"
        " WHERE pronamespace::regnamespace::text IN ('entasis', 'entasis_internal')"
        " GROUP BY pronamespace, proname HAVING count(*) > 1",
    )


def test_parameters_named_like_a_column_are_qualified(
    connection: Connection, database: Database
) -> None:
    # In LANGUAGE sql the column wins: WHERE relation = relation is true for every row. PL/pgSQL
    # raises an error, but only when the statement is run.
    columns = names(
        connection,
        "SELECT attname FROM pg_attribute INNER JOIN pg_class AS c ON attrelid = c.oid"
        " WHERE relnamespace::regnamespace::text IN ('entasis', 'entasis_internal') AND attnum > 0"
        " UNION SELECT unnest(proargnames[pronargs + 1:]) FROM pg_proc"
        " WHERE pronamespace::regnamespace::text IN ('entasis', 'entasis_internal')",
    )
    found = {}
    for name, routine in of_schema(database).items():
        reachable = columns | routine.own_columns()
        reachable |= names(
            connection,
            "SELECT attname FROM pg_attribute INNER JOIN unnest(%s::text[]) AS r (relation)"
            " ON attrelid = to_regclass(r.relation) AND attnum > 0",
            sorted(routine.relations()),
        )
        if unqualified := routine.unqualified() & reachable:
            found[name] = sorted(unqualified)
    assert found == {}
