"""Playing a scenario: the disaster, its page, and the count afterwards."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from drills import pages, shell
from drills.account import Account, faults, take
from drills.scenarios import Scenario
from drills.site import Site


@dataclass(frozen=True)
class Result:
    """What became of a scenario."""

    scenario: Scenario
    faults: list[str]
    """In what the recovery fell short; nothing, where it held."""
    account: Account | None = None
    """None: the page could not be run to its end."""
    lost_seconds: float = 0
    """How long before the disaster the oldest lost trade was acknowledged."""
    commands_seconds: float = 0
    """How long the commands of the page took."""
    outage_seconds: float = 0
    """The longest time without an acknowledged trade, from the disaster on."""
    blocks: list[tuple[int, float]] = field(default_factory=list)
    """Each block's line in the page, and how many seconds it took."""
    output: str = ""
    """What the page printed."""


def play(scenario: Scenario, site: Site) -> Result:
    """Play a scenario from where the site begins."""
    site.reset()
    scenario.prepare(site)
    url = _url(site, with_replica=scenario.replica)
    began = datetime.now(UTC)
    writer = site.begin_writing(url)
    writer.await_written(site.size.written, began, site.size.seconds + 60)
    while datetime.now(UTC) - began < timedelta(seconds=site.size.seconds):
        writer.await_written(site.size.written, datetime.now(UTC), site.size.seconds + 60)
    safe = site.safe_lsn()
    if scenario.writers_stop:
        site.end_writing()
    before = datetime.now(UTC)
    known = scenario.strike(site)
    struck = datetime.now(UTC)
    try:
        played = _play_page(scenario, site, known)
    except shell.FailedError as error:
        return Result(scenario, [str(error)])
    back = datetime.now(UTC)
    if site.writer is None:
        site.begin_writing(url)
    assert site.writer is not None
    # the server takes writes again, and clients have come back by themselves
    site.writer.await_written(site.size.written // 4, back)
    site.end_writing()
    server = site.replica if scenario.replica else site.primary
    with server.connect() as connection:
        account = take(connection, site.ledger, site.archived if scenario.archive_counts else None)
    return Result(
        scenario,
        [*faults(account, scenario.loss, struck, safe), *scenario.check(site)],
        account,
        account.lost_since(struck),
        played.seconds,
        _outage(site, before),
        played.blocks,
        played.output,
    )


def _url(site: Site, *, with_replica: bool) -> str:
    """Return the URL of clients: of both hosts, where there are two."""
    url = site.primary.dsn()
    if with_replica:
        hosts = f"127.0.0.1:{site.primary.port},127.0.0.1:{site.replica.port}"
        url = url.replace(f"127.0.0.1:{site.primary.port}", hosts)
        url += "?target_session_attrs=read-write"
    return url


def _outage(site: Site, since: datetime) -> float:
    """Return the longest time between two acknowledgements since a time, in seconds."""
    times = sorted({since, *(one.at for one in site.ledger.acknowledged.values())})
    times = times[times.index(since) :]
    gaps = (after - at for at, after in pairwise(times))
    return max(gaps, default=timedelta()).total_seconds()


def _play_page(scenario: Scenario, site: Site, known: dict[str, str]) -> shell.Played:
    rig = site.rig
    rig.write(rig.home / "recovery.env", site.settings())
    with shell.entasis(rig.home, rig.user) as bin_:
        environment = rig.environment
        # the pages name it
        environment.pop("PGBACKREST_STANZA", None)
        environment["PATH"] = os.pathsep.join([str(bin_), environment["PATH"]])
        page = f"{scenario.page}.md"
        commands = pages.blocks((pages.FOLDER / page).read_text(encoding="utf-8"))
        return shell.play(page, commands, bin_, rig.user, {**environment, **known})
