-- An enum, so that a misspelt source is an error instead of an empty result.
DO $type$
BEGIN
    IF to_regtype('entasis.candle_source') IS NULL THEN
        CREATE TYPE entasis.candle_source AS ENUM ('trades', 'exchange');
    END IF;
END
$type$;
