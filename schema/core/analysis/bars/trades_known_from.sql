-- Beside is_known_below_floor(), which knows candles. What known_again() reads, readers may not.
CREATE OR REPLACE FUNCTION entasis_internal.trades_known_from(
    symbol_name text, exchange_name text, from_time timestamptz
) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT
        CASE
            WHEN trades_known_from.from_time >= f.floor THEN trades_known_from.from_time
            WHEN
                (
                    SELECT range_agg(tstzrange(r.from_time, r.to_time))
                    FROM
                        entasis_internal.known_again(
                            'market_data',
                            trades_known_from.symbol_name,
                            trades_known_from.exchange_name
                        ) AS r
                ) @> tstzrange(trades_known_from.from_time, f.floor)
                THEN trades_known_from.from_time
            ELSE f.floor
        END
    FROM entasis.floors AS f
    WHERE f.relation = 'market_data';
END;

COMMENT ON FUNCTION entasis_internal.trades_known_from IS
'The moment, from_time or later, from which on all trades of a market are stored: from_time itself if it lies at or above the floor of trades, or if all from there up to the floor was restored or reopened; else the floor.';
