-- One statement of one symbol, which the node that has it answers as a whole.
CREATE OR REPLACE FUNCTION entasis_internal.minute_closes(
    symbol_name text, exchange_name text, moments timestamptz[], lookback interval
) RETURNS TABLE (place bigint, price numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    -- with them partitions outside are not even planned
    earliest CONSTANT timestamptz := (
        (SELECT min(t) FROM unnest(moments) AS t) AT TIME ZONE 'UTC' - lookback - interval '1 minute'
    ) AT TIME ZONE 'UTC';
    latest CONSTANT timestamptz := (SELECT max(t) FROM unnest(moments) AS t);
BEGIN
    RETURN QUERY
    SELECT m.place, b.price
    FROM unnest(moments) WITH ORDINALITY AS m (at, place)
    CROSS JOIN LATERAL (
        SELECT c.close AS price
        FROM entasis.ohlcv_1m AS c
        WHERE
            c.symbol = symbol_name
            AND c.exchange = exchange_name
            AND c.bucket > earliest
            AND c.bucket <= latest
            AND c.bucket <= m.at
            AND c.bucket > (
                m.at AT TIME ZONE 'UTC' - minute_closes.lookback - interval '1 minute'
            ) AT TIME ZONE 'UTC'
            AND c.closed_at <= m.at
            AND c.closed_at > (m.at AT TIME ZONE 'UTC' - minute_closes.lookback) AT TIME ZONE 'UTC'
        ORDER BY c.bucket DESC
        LIMIT 1
    ) AS b;
END
$$;

COMMENT ON FUNCTION entasis_internal.minute_closes IS
'For prediction_scores(): the price of a market at each of these moments, by its place in the array, from 1. No row: there is none, or the moment is NULL.';
