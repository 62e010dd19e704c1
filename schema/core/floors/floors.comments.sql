COMMENT ON TABLE entasis.floors IS
'Up to where the data of each relation was dropped. Writes below the floor are refused: they would recompute candles from trades that are gone.';
COMMENT ON COLUMN entasis.floors.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.floors.floor IS
'Rows before it were dropped and may not be written; rows from it on may. -infinity: nothing was dropped yet.';
COMMENT ON COLUMN entasis.floors.raised_at IS
'When it was last raised; UTC. NULL: never.';
