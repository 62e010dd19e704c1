-- No transition table: with one, TimescaleDB executes COPY into a hypertable row by row and does not log that
-- the candles of these rows are invalid (tried on 2.28.3; also with BEFORE ROW triggers). So the table is
-- queried instead: below the floor there are chunks only where it was restored or reopened. Restored chunks
-- have a trigger of their own. In the others, two probes of an index for each symbol and for each exchange suffice,
-- however many trades there are, while reopened ranges are of one symbol or of one exchange.
CREATE OR REPLACE FUNCTION entasis_internal.market_data_inserted() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    lowest timestamptz;
    gap tstzrange;
    part tstzrange;
    name text;
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
            -- what no range of its symbol covers
            name := '';
            LOOP
                SELECT d.symbol INTO name FROM entasis.market_data AS d
                WHERE d.symbol > name AND d.timestamp >= lower(gap) AND d.timestamp < upper(gap)
                ORDER BY d.symbol
                LIMIT 1;
                EXIT WHEN NOT FOUND;
                FOR part IN
                    SELECT unnest(
                        tstzmultirange(gap)
                        - coalesce(range_agg(tstzrange(o.from_time, o.to_time)), '{}')
                    )
                    FROM entasis.reopened AS o
                    WHERE o.relation = 'market_data' AND o.opened_at IS NOT NULL AND o.symbol = name
                LOOP
                    PERFORM entasis_internal.refuse_below_floor(
                        'market_data', t.timestamp, name, t.exchange
                    )
                    FROM (
                        SELECT d.timestamp, d.exchange FROM entasis.market_data AS d
                        WHERE d.symbol = name
                            AND d.timestamp >= lower(part) AND d.timestamp < upper(part)
                        ORDER BY d.timestamp
                        LIMIT 1
                    ) AS t;
                END LOOP;
            END LOOP;
            -- what no range of its exchange covers
            name := '';
            LOOP
                SELECT d.exchange INTO name FROM entasis.market_data AS d
                WHERE d.exchange > name AND d.timestamp >= lower(gap) AND d.timestamp < upper(gap)
                ORDER BY d.exchange
                LIMIT 1;
                EXIT WHEN NOT FOUND;
                FOR part IN
                    SELECT unnest(
                        tstzmultirange(gap)
                        - coalesce(range_agg(tstzrange(o.from_time, o.to_time)), '{}')
                    )
                    FROM entasis.reopened AS o
                    WHERE o.relation = 'market_data' AND o.opened_at IS NOT NULL AND o.exchange = name
                LOOP
                    PERFORM entasis_internal.refuse_below_floor(
                        'market_data', t.timestamp, t.symbol, name
                    )
                    FROM (
                        SELECT d.timestamp, d.symbol FROM entasis.market_data AS d
                        WHERE d.exchange = name
                            AND d.timestamp >= lower(part) AND d.timestamp < upper(part)
                        ORDER BY d.timestamp
                        LIMIT 1
                    ) AS t;
                END LOOP;
            END LOOP;
            -- Ranges of one symbol, or of one exchange, leave nothing else. Of several, a trade may lie in
            -- that of its symbol and in that of its exchange, and in none of its market.
            PERFORM FROM entasis.reopened AS o
            WHERE o.relation = 'market_data' AND o.opened_at IS NOT NULL AND o.symbol IS NOT NULL
                AND tstzrange(o.from_time, o.to_time) && gap
            HAVING count(DISTINCT o.symbol) > 1 AND count(DISTINCT o.exchange) > 1;
            IF FOUND THEN
                -- ranges are whole days of a market
                PERFORM entasis_internal.refuse_below_floor(
                    'market_data', min(d.timestamp), d.symbol, d.exchange
                )
                FROM entasis.market_data AS d
                WHERE d.timestamp >= lower(gap) AND d.timestamp < upper(gap)
                GROUP BY d.symbol, d.exchange, date_trunc('day', d.timestamp);
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.market_data_inserted IS
'Trigger of market_data: refuses a statement after which there are trades below the floor outside of restored and reopened ranges.';
