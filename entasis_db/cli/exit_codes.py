"""What the exit code of ``entasis`` says to a scheduler: the same for every command."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    """All that was asked for is done, or as it should be."""
    FAILED = 1
    """It was not done, or only in part; the last line on standard error says why."""
    USAGE = 2
    """The command was written wrongly, and nothing was begun."""
    LEFT_OVER = 3
    """Done, with something left over: load put rows into quarantine or found some below the
    floor, or maintain left partitions that wait for an archive or are in use."""
    CANDLES_DIFFER = 4
    """check: candles are wrong, and entasis rebuild mends them; or ids cannot be right."""
    TRADES_MISSING = 5
    """check: candles count trades that are not stored, whatever else is wrong."""
    BACKUPS_FAULTY = 6
    """backup check: a backup is missing, too old or damaged, or WAL is not archived."""
    FOUND = 7
    """gaps, backfill: trades, or files of them, are missing. anomalies: something is new that
    nobody has looked at."""


EXPLAINED = "Exit codes: " + ", ".join(
    f"{code.value} {text}"
    for code, text in (
        (ExitCode.DONE, "done"),
        (ExitCode.FAILED, "failed (standard error says why)"),
        (ExitCode.USAGE, "the command was written wrongly"),
        (ExitCode.LEFT_OVER, "done, with something left over (standard error says what)"),
        (ExitCode.CANDLES_DIFFER, "check: candles are wrong"),
        (ExitCode.TRADES_MISSING, "check: trades are missing"),
        (ExitCode.BACKUPS_FAULTY, "backup check: backups are not as they should be"),
        (ExitCode.FOUND, "gaps, backfill: trades are missing, anomalies: some are new"),
    )
)
