-- Not in a file of triggers, because the names of these tables are chosen by TimescaleDB.
SELECT entasis_internal.create_candle_triggers() AS guarded;
