-- After the triggers of the tables, because TimescaleDB names these tables.
SELECT entasis_internal.create_candle_triggers() AS guarded;
