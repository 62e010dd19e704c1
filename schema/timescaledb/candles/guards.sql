-- After the triggers of the tables, because TimescaleDB names these tables.
SELECT entasis_internal.guard_candles() AS guarded;
