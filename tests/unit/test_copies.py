"""What a portable dump takes over: nothing that a database holds is forgotten."""

from entasis_db.copies.tables import BROUGHT, LEDGER, LEFT
from entasis_db.expected import expected
from entasis_db.resources import engines


def test_every_table_is_brought_or_left_for_a_reason() -> None:
    """A new table has to be put into one of the two."""
    tables = {table for engine in engines() for table in expected(engine).tables}
    assert {t for t in tables if not t.startswith(LEDGER)} == {*BROUGHT, *LEFT} - {
        "entasis_migrations.checksums"
    }
    assert not {*BROUGHT} & {*LEFT}
    assert all(LEFT.values())
