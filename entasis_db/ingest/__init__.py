"""Writing trades, option quotes, predictions and positions, from programs and from files.

A batch that the client finds clean goes by COPY straight into its table, inside a savepoint. When
something in it looks wrong, or the server objects, the batch goes through a staging table, where
SQL judges row by row, and quarantine takes what cannot be stored, with its reason. So rules and
reasons stand in one place, the database, and clean batches are not slowed.
"""

from entasis_db.ingest.arrow import (
    ArrowReport,
    ingest_arrow,
    ingest_arrow_async,
    ingest_arrow_options,
    ingest_arrow_options_async,
)
from entasis_db.ingest.checks import check_row
from entasis_db.ingest.id_spaces import IdSpace, TimeUnits
from entasis_db.ingest.load import Loaded, load_options, load_trades
from entasis_db.ingest.parts import BATCH_ROWS, MAX_REFUSED
from entasis_db.ingest.quarantine import Refusal, quarantine, quarantined
from entasis_db.ingest.replace import Replaced, replace_trades
from entasis_db.ingest.report import IngestReport
from entasis_db.ingest.retry import retrying
from entasis_db.ingest.write import (
    ingest_options,
    ingest_options_async,
    ingest_trades,
    ingest_trades_async,
)
from entasis_db.ingest.written import (
    Conflict,
    WriteReport,
    write_positions,
    write_positions_async,
    write_predictions,
    write_predictions_async,
)

__all__ = [
    "BATCH_ROWS",
    "MAX_REFUSED",
    "ArrowReport",
    "Conflict",
    "IdSpace",
    "IngestReport",
    "Loaded",
    "Refusal",
    "Replaced",
    "TimeUnits",
    "WriteReport",
    "check_row",
    "ingest_arrow",
    "ingest_arrow_async",
    "ingest_arrow_options",
    "ingest_arrow_options_async",
    "ingest_options",
    "ingest_options_async",
    "ingest_trades",
    "ingest_trades_async",
    "load_options",
    "load_trades",
    "quarantine",
    "quarantined",
    "replace_trades",
    "retrying",
    "write_positions",
    "write_positions_async",
    "write_predictions",
    "write_predictions_async",
]
