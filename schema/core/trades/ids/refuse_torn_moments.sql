-- Of a file that was cut within a moment, the second piece counts its trades from 0 again. When the whole file
-- comes later, the first of them differs from what is stored, and the others would be stored a second time.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_torn_moments(source_name text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM entasis.markets AS m
        WHERE m.id_space = 'ordinal' AND EXISTS (
            SELECT FROM pg_temp.entasis_staged_trades AS s
            WHERE s.symbol = m.symbol AND s.exchange = m.exchange
        )
    ) THEN
        RETURN;
    END IF;

    WITH compared AS MATERIALIZED (
        SELECT s.ctid AS place, s.*, d.id IS NULL AS is_new, coalesce(bool_or(
            s.price <> d.price OR s.volume <> d.volume
        ) OVER (PARTITION BY s.symbol, s.exchange, s.timestamp), false) AS is_torn
        FROM pg_temp.entasis_staged_trades AS s
        INNER JOIN entasis.markets AS m
            ON s.symbol = m.symbol AND s.exchange = m.exchange AND m.id_space = 'ordinal'
        LEFT JOIN entasis.market_data AS d
            ON s.symbol = d.symbol AND s.exchange = d.exchange
            AND s.timestamp = d.timestamp AND s.id = d.id
    ),
    discarded AS (
        DELETE FROM pg_temp.entasis_staged_trades AS s
        USING compared AS c
        WHERE s.ctid = c.place AND c.is_torn AND c.is_new
    )
    INSERT INTO entasis.quarantine (relation, source, line, code, reason, payload)
    SELECT 'market_data', source_name, c.line, 'conflict',
        format(
            'trades of %s %s at %s are counted, and others are stored of that moment than this source has: which of them trade %s is cannot be known',
            c.exchange, c.symbol, c.timestamp AT TIME ZONE 'UTC', c.id
        ),
        to_jsonb(c) - 'line' - 'place' - 'is_new' - 'is_torn'
    FROM compared AS c
    WHERE c.is_torn AND c.is_new
    ON CONFLICT DO NOTHING;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_torn_moments IS
'Puts into quarantine the trades of pg_temp.entasis_staged_trades that are new at a timestamp of which other trades are stored under the ordinals that are staged: where trades are counted within a timestamp, all of one are stored together.';
