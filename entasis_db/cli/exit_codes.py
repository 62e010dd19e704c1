"""What the exit code of ``entasis`` says to a scheduler."""

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
    """Done, with something left over that the next run must do. No command ends with it yet."""
    CANDLES_DIFFER = 4
    """check: candles differ from their trades. Not used yet: such a check has FAILED."""
    TRADES_MISSING = 5
    """check: trades of a candle are missing. Not used yet: such a check has FAILED."""


EXPLAINED = "Exit codes: " + ", ".join(
    f"{code.value} {text}"
    for code, text in (
        (ExitCode.DONE, "done"),
        (ExitCode.FAILED, "failed (standard error says why)"),
        (ExitCode.USAGE, "the command was written wrongly"),
    )
)
