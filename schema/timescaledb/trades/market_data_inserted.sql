-- No transition table: with one, TimescaleDB executes COPY into a hypertable row by row and does not log that
-- the candles of these rows are invalid (tried on 2.28.3; also with BEFORE ROW triggers). So the table is
-- queried instead: below the floor there are chunks only where it was restored or reopened. Restored chunks
-- have a trigger of their own. In the others each market is looked up by the key, so that the number of its
-- trades does not matter.
CREATE OR REPLACE FUNCTION entasis_internal.market_data_inserted() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    lowest timestamptz;
    gap tstzrange;
    part tstzrange;
    market_symbol text;
    market_exchange text;
BEGIN
    SELECT f.floor INTO lowest FROM entasis.floors AS f WHERE f.relation = 'market_data';
    IF isfinite(lowest) THEN
        -- Who drops a chunk waits for its writers. But an older snapshot may show a range as open that was
        -- closed and dropped since: such a transaction fails here with 40001.
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            PERFORM FROM entasis.reopened AS o WHERE o.relation = 'market_data' FOR KEY SHARE;
        END IF;
        FOR gap IN
            SELECT unnest(
                tstzmultirange(tstzrange('-infinity', lowest))
                - coalesce(range_agg(tstzrange(r.from_time, r.to_time)), '{}')
            )
            FROM (
                SELECT s.from_time, s.to_time FROM entasis.restores AS s
                WHERE s.relation = 'market_data' AND s.attached_at IS NOT NULL
                UNION ALL
                SELECT o.from_time, o.to_time FROM entasis.reopened AS o
                WHERE o.relation = 'market_data' AND o.symbol IS NULL AND o.opened_at IS NOT NULL
            ) AS r
        LOOP
            market_symbol := '';
            market_exchange := '';
            LOOP
                SELECT d.symbol, d.exchange INTO market_symbol, market_exchange
                FROM entasis.market_data AS d
                WHERE (d.symbol, d.exchange) > (market_symbol, market_exchange)
                    AND d.timestamp >= lower(gap) AND d.timestamp < upper(gap)
                ORDER BY d.symbol, d.exchange
                LIMIT 1;
                EXIT WHEN NOT FOUND;
                FOR part IN
                    SELECT unnest(
                        tstzmultirange(gap)
                        - coalesce(range_agg(tstzrange(o.from_time, o.to_time)), '{}')
                    )
                    FROM entasis.reopened AS o
                    WHERE o.relation = 'market_data' AND o.opened_at IS NOT NULL
                        AND o.symbol = market_symbol AND o.exchange = market_exchange
                LOOP
                    PERFORM entasis_internal.refuse_below_floor(
                        'market_data', min(d.timestamp), market_symbol, market_exchange
                    )
                    FROM entasis.market_data AS d
                    WHERE d.symbol = market_symbol AND d.exchange = market_exchange
                        AND d.timestamp >= lower(part) AND d.timestamp < upper(part);
                END LOOP;
            END LOOP;
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_inserted IS
'Trigger of market_data: refuses a statement after which there are trades below the floor outside of restored and reopened ranges.';
