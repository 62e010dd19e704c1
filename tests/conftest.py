"""Servers, databases and logins for the tests; the report's last lines say which servers ran."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import engine as hypothesis_engine
from psycopg.conninfo import make_conninfo

from drills.rig import programs as rig_programs
from entasis_db.resources import engines
from tests import browser, caches, oracle, poolers
from tests.caches import RedisServer, redis_server
from tests.db import wipe
from tests.engines import CAPABILITIES, SAMPLES, Database, Prepare, Server, Source
from tests.monitoring import rig as monitoring_rig
from tests.poolers import haproxy_program
from tests.s3 import S3Server, s3_server
from tests.servers import sources
from tests.sessions import Sessions

settings.register_profile(
    "database",
    deadline=None,  # a server's time is not a property of the code
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=int(os.environ.get("ENTASIS_TEST_EXAMPLES", "10")),
    # not to explain: it runs a failing history many times more than it takes to make it small
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
    print_blob=True,
)
settings.load_profile("database")
# Each step is a history on a server. What has become small by then is small enough to be read.
assert hypothesis_engine.MAX_SHRINKING_SECONDS
hypothesis_engine.MAX_SHRINKING_SECONDS = 30

_SHORT = bool(os.environ.get("ENTASIS_TEST_SHORT"))
_servers: dict[str, Server] = {}
_used: set[str] = set()
"""Names of servers that tests ran on, those of every worker."""
_left: Counter[str] = Counter()
_ran: set[str] = set()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run whatever asks for a server once on each."""
    if "source" in metafunc.fixturenames:
        found = sources()
        marked = metafunc.definition.get_closest_marker
        if marked("newest_server") or (_SHORT and marked("newest_server_when_short")):
            found = tuple({s.engine: s for s in found}.values())
        metafunc.parametrize("source", found, ids=[s.name for s in found], scope="session")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run without the servers, engines or extras that ENTASIS_TEST_REQUIRE names."""
    for name, meaning in CAPABILITIES.items():
        config.addinivalue_line("markers", f"{name}: needs {meaning}")
    known = {name for s in sources() for name in (s.name, s.engine)}
    if missing := _required() - known - _extras():
        pytest.exit(f"no server for {', '.join(sorted(missing))} on this machine", returncode=3)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that has required servers, and in which one that this machine has ran no test."""
    if hasattr(session.config, "workeroutput"):
        # one of several processes: the one that gave out the tests looks at all of them
        found = {"used": sorted(_used), "ran": sorted(_ran), "left": dict(_left)}
        session.config.workeroutput["servers"] = found
        return
    ran = {name for s in sources() if s.name in _used for name in (s.name, s.engine)}
    wanted = _required() and _required() | {s.name for s in sources()}
    if exitstatus == 0 and not session.config.option.collectonly and wanted - ran - _ran:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a process the tests of a file on one server: by whole files, the last one takes long."""
    from xdist.scheduler import LoadFileScheduling  # only where tests run in several processes

    class ByFileAndServer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, name = nodeid.partition("::")
            server = next((s.name for s in sources() if f"[{s.name}" in name), "")
            return f"{file} {server}"

        def _assign_work_unit(self, node: Any) -> None:
            # what is slow starts slowly, too: one process has its tests while there are others
            slow, others = [], []
            for scope in self.workqueue:
                (slow if scope.partition(" ")[2] in slow_servers else others).append(scope)
            wanted = slow or others if node is self.nodes[0] else others or slow
            self.workqueue.move_to_end(wanted[0], last=False)
            super()._assign_work_unit(node)

    slow_servers = {s.name for s in sources() if s.why_not("native_speed")}
    return ByFileAndServer(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)  # what -k and -m leave out is not counted
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what a server cannot do to the others."""
    for item in items:
        source = item.callspec.params.get("source") if hasattr(item, "callspec") else None
        if not isinstance(source, Source):
            continue
        needed = {mark.name for mark in item.iter_markers()} & CAPABILITIES.keys()
        if _SHORT and item.get_closest_marker("native_speed_when_short"):
            needed.add("native_speed")
        reasons = {name: why for name in sorted(needed) if (why := source.why_not(name))}
        if reasons:
            item.add_marker(
                pytest.mark.skip(reason=f"{source.name}: {', '.join(reasons.values())}")
            )
        if reasons.keys() & source.lacks.keys():
            _left[source.name] += 1


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over what a worker has noted."""
    if found := getattr(node, "workeroutput", {}).get("servers"):
        _used.update(found["used"])
        _ran.update(found["ran"])
        _left.update(found["left"])


def _required() -> set[str]:
    return {name for name in os.environ.get("ENTASIS_TEST_REQUIRE", "").split(",") if name}


def _extras() -> set[str]:
    """What ENTASIS_TEST_REQUIRE may name beside PostgreSQL's servers, as far as it is there."""
    there = {
        "redis": caches.program(),
        "pgbouncer": poolers.program(),
        "haproxy": haproxy_program(),
        "pgbackrest": rig_programs(),
        "prometheus": monitoring_rig.programs(),
        "cryptofeed": find_spec("cryptofeed"),
        "chromium": browser.program(),
    }
    return {name for name, found in there.items() if found}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which servers the tests ran on, and where those came from."""
    for source in sources():
        state = "ran" if source.name in _used else "DID NOT RUN"
        left = _left[source.name]
        lacks = " or ".join(sorted(source.lacks)).replace("_", " ")
        rest = f"; {left} tests that need {lacks} were left to other servers" if left else ""
        terminalreporter.write_line(f"{source.name}: {state}, {source.origin}{rest}")
    if not os.environ.get("ENTASIS_TEST_ONLY"):
        for engine in sorted(set(engines()) - {source.engine for source in sources()}):
            terminalreporter.write_line(f"{engine}: DID NOT RUN, this machine has no server of it")
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "measured":
                terminalreporter.write_line(str(value))


@pytest.fixture(scope="session")
def _running() -> Iterator[dict[str, Server]]:
    yield _servers
    for server in _servers.values():
        server.close()


@pytest.fixture(scope="session")
def server(source: Source, _running: dict[str, Server]) -> Server:
    """Each server in turn."""
    assert _running is _servers
    return start_once(source)


def start_once(source: Source) -> Server:
    """Start a server, unless it runs already; it stays until the session ends."""
    if source.name not in _servers:
        _servers[source.name] = source.run(source)
        _used.add(source.name)
    return _servers[source.name]


@pytest.fixture
def prepare() -> Prepare | None:
    """What the test's database begins with: nothing. Folders and files of tests override it."""
    return None


@pytest.fixture
def database(server: Server, prepare: Prepare | None) -> Iterator[Database]:
    """A migrated database of the test's own."""
    with server.database(prepare) as lent:
        yield lent


@pytest.fixture
def empty_database(server: Server) -> Iterator[Database]:
    """A database of the test's own, without Entasis DB."""
    with server.empty_database() as lent:
        yield lent


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection in autocommit mode."""
    with database.connect() as connected:
        yield connected


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Database]:
    """A database for the tests of a file; those that mind their own market only see others'."""
    with server.database() as lent:
        yield lent


@pytest.fixture
def shared_connection(shared: Database) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to the file's database."""
    with shared.connect() as connected:
        yield connected


@pytest.fixture(scope="module")
def sessions(shared: Database) -> Iterator[Sessions]:
    """Connections to the file's database that a test leaves to the next."""
    with ExitStack() as stack:
        yield Sessions(shared, stack)


@pytest.fixture
def emptied(shared: Database, sessions: Sessions) -> Database:
    """The file's database without a row: quicker than a new one. Months that were made stay."""
    with sessions.lend() as connected:
        connected.execute("UPDATE entasis.floors SET floor = DEFAULT")
        wipe(connected)
        oracle.refresh(connected)  # while nothing lies below a floor
    return shared


Login = Callable[..., psycopg.Connection[Any]]


@pytest.fixture
def login(server: Server, database: Database) -> Iterator[Login]:
    """Connect as a new login with the given roles: ``login("entasis_reader")``."""
    with ExitStack() as stack:

        def connect(*roles: str, **options: Any) -> psycopg.Connection[Any]:
            name, password = stack.enter_context(server.login(*roles))
            dsn = make_conninfo(database.dsn, user=name, password=password)
            return stack.enter_context(psycopg.connect(dsn, **{"autocommit": True, **options}))

        yield connect


@pytest.fixture(scope="session")
def needs_redis() -> None:
    """A Redis or Valkey that a test can start."""
    if caches.program() is None:
        pytest.skip("neither valkey-server nor redis-server is on the PATH")
    _ran.add("redis")


@pytest.fixture(scope="session")
def needs_pgbouncer() -> None:
    """A PgBouncer that a test can start."""
    if poolers.program() is None:
        pytest.skip("pgbouncer is not installed")
    _ran.add("pgbouncer")


@pytest.fixture(scope="session")
def needs_haproxy() -> None:
    """An HAProxy that a test can start."""
    if haproxy_program() is None:
        pytest.skip("haproxy is not installed")
    _ran.add("haproxy")


@pytest.fixture(scope="session")
def needs_prometheus() -> None:
    """A Prometheus, its promtool and postgres_exporter."""
    if monitoring_rig.programs() is None:
        pytest.skip("prometheus, promtool or postgres_exporter is not installed")
    _ran.add("prometheus")


@pytest.fixture(scope="session")
def needs_chromium() -> None:
    """A Chromium that a test can start."""
    if browser.program() is None:
        pytest.skip("chromium is not installed")
    _ran.add("chromium")


@pytest.fixture(scope="module")
def redis(needs_redis: None) -> Iterator[RedisServer]:
    """A Redis or Valkey for the tests of a file."""
    with redis_server() as started:
        yield started


@pytest.fixture(scope="session")
def needs_cryptofeed() -> None:
    """cryptofeed, which has to be compiled."""
    if find_spec("cryptofeed") is None:
        pytest.skip("cryptofeed is not installed: pip install 'entasis-db[cryptofeed]'")
    _ran.add("cryptofeed")


@pytest.fixture(scope="session")
def short() -> bool:
    """Whether a long test is to run in fewer rounds: make test-all SHORT=1, as CI does."""
    return _SHORT


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real market data, where it exists."""
    if not SAMPLES.is_dir():
        pytest.skip("the real samples are not beside this checkout")
    return SAMPLES


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server, with its credentials where the AWS tools look for them."""
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
