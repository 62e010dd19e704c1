"""Servers that are given by a superuser's DSN in the environment; they are left running."""

import os
from functools import partial

from entasis_db.resources import engines
from tests.engines import Server, Source
from tests.servers import citus


def found() -> list[Source]:
    """List the servers that ENTASIS_TEST_DSN_<ENGINE> names."""
    return [
        citus.given(dsn)
        if engine == "citus"
        else Source(
            f"{engine}-dsn",
            engine,
            "the DSN in the environment",
            partial(Server, dsn=dsn),
            lacks={"own_cluster": "its programs need not be on this machine"},
        )
        for engine in engines()
        if (dsn := os.environ.get(f"ENTASIS_TEST_DSN_{engine.upper()}"))
    ]
