COMMENT ON TABLE entasis.floors IS
'Up to where data was dropped. Writes below are refused: they would destroy what the candles still know.';
COMMENT ON COLUMN entasis.floors.relation IS
'Relation of schema entasis.';
COMMENT ON COLUMN entasis.floors.floor IS
'Rows before it are gone and may not be written, rows from it on (included) may. -infinity: nothing was dropped yet.';
COMMENT ON COLUMN entasis.floors.raised_at IS
'When it was last raised; UTC. NULL: never.';
