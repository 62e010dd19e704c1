-- An enum, so that a misspelt interval is an error instead of an empty result.
DO $type$
BEGIN
    IF to_regtype('entasis.candle_interval') IS NULL THEN
        CREATE TYPE entasis.candle_interval AS ENUM (
            '1m', '5m', '15m', '30m', '1h', '4h', '1d', '1w', '1mo'
        );
    END IF;
END
$type$;
