"""The command that a scheduler calls daily."""

import click

from entasis_db import maintenance
from entasis_db.cli.output import step
from entasis_db.cli.target import Target


@click.command()
@click.pass_obj
def maintain(target: Target) -> None:
    """Do what has to happen daily: partitions ahead, drops past the keep period, statistics."""
    with target.connect() as connection:
        maintenance.maintain(connection, progress=step)
    step("maintained")
