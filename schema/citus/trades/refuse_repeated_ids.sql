-- Loaders compare ids before they insert, and say so for one statement: entasis.trade_ids names its transaction, so
-- that neither ALTER ROLE nor an earlier transaction can say it. A writer may: it protects from mistakes, not from
-- their makers, who may call record_markets() as well. SECURITY DEFINER, because writers may not write to
-- entasis.markets. The new trades are in the table by now, so that each is compared with the others too.
-- Where no loader has said what ids are, only what is equal but for the unit of time is taken for one trade:
-- rows may be numbered within each timestamp.
CREATE OR REPLACE FUNCTION entasis_internal.refuse_repeated_ids() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
    market record;
    recorded record;
    piece tstzrange;
    repeat record;
BEGIN
    IF current_setting('entasis.trade_ids', true) = pg_current_xact_id()::text THEN
        PERFORM set_config('entasis.trade_ids', '', true);
        RETURN NULL;
    END IF;

    FOR market IN
        SELECT n.symbol, n.exchange, min(n.timestamp) AS first_time, max(n.timestamp) AS last_time,
            min(n.id) AS first_id, max(n.id) AS last_id
        FROM new_trades AS n
        GROUP BY n.symbol, n.exchange
        ORDER BY n.symbol, n.exchange
    LOOP
        recorded := NULL;
        SELECT m.source, m.id_space, m.ids_rise INTO recorded FROM entasis.markets AS m
        WHERE m.symbol = market.symbol AND m.exchange = market.exchange;
        CONTINUE WHEN entasis_internal.is_exchange_id(recorded.id_space) IS NOT TRUE;
        IF recorded.source IS NULL THEN
            PERFORM entasis_internal.record_traded_market(market.symbol, market.exchange);
        END IF;
        FOR piece IN
            SELECT unnest(
                tstzmultirange(tstzrange(
                    market.first_time - interval '1 second', market.last_time + interval '1 second',
                    '[]'
                ))
                + CASE WHEN recorded.id_space <> '' AND recorded.ids_rise IS NOT FALSE THEN entasis_internal.ids_elsewhere(
                    market.symbol, market.exchange, market.first_time, market.last_time,
                    market.first_id, market.last_id
                ) ELSE '{}' END
            )
        LOOP
            -- where the new trades are among those of the piece, most often no id is there twice, and grouping says so
            -- in less time than the join
            IF lower(piece) <= market.first_time AND upper(piece) >= market.last_time THEN
                PERFORM FROM entasis.market_data AS d
                WHERE d.symbol = market.symbol AND d.exchange = market.exchange
                    AND d.timestamp >= lower(piece) AND d.timestamp <= upper(piece)
                GROUP BY d.id
                HAVING count(*) > 1
                LIMIT 1;
                CONTINUE WHEN NOT FOUND;
            END IF;
            EXECUTE format(
                $sql$
            SELECT n.id, n.timestamp AS told, d.timestamp AS stored
            FROM new_trades AS n
            INNER JOIN %s AS d
                ON n.id = d.id AND n.timestamp <> d.timestamp
                -- or else a market whose rows all have one id would be joined with itself
                AND CASE WHEN $1 IS NULL THEN date_bin(
                    '1 second', n.timestamp, '2000-01-01 00:00:00+00'::timestamptz
                ) ELSE '2000-01-01 00:00:00+00'::timestamptz END
                = CASE WHEN $1 IS NULL THEN date_bin(
                    '1 second', d.timestamp, '2000-01-01 00:00:00+00'::timestamptz
                ) ELSE '2000-01-01 00:00:00+00'::timestamptz END
            WHERE n.symbol = $2 AND n.exchange = $3
                AND d.symbol = $2 AND d.exchange = $3
                AND d.timestamp >= lower($4) AND d.timestamp <= upper($4)
                AND (
                    $1 IS NOT NULL
                    OR (
                        n.price = d.price AND n.volume = d.volume
                        AND (
                            entasis_internal.is_same_moment(n.timestamp, d.timestamp, 'us', '{s,ms}')
                            OR entasis_internal.is_same_moment(d.timestamp, n.timestamp, 'us', '{s,ms}')
                        )
                    )
                )
            LIMIT 1
                $sql$,
                entasis_internal.shard_of('entasis.market_data', market.symbol)
            ) INTO repeat USING recorded.id_space, market.symbol, market.exchange, piece;
            IF repeat IS NOT NULL THEN
                RAISE unique_violation USING
                    MESSAGE = format(
                        'trade %s of %s %s at %s is stored at %s already',
                        repeat.id, market.exchange, market.symbol,
                        repeat.told AT TIME ZONE 'UTC', repeat.stored AT TIME ZONE 'UTC'
                    ),
                    HINT = 'An id of the exchange is one trade, whatever its time. Where ids are unique'
                        ' only within a timestamp, record it first: SELECT entasis.record_id_space('
                        'symbol, exchange, ''ordinal'', source).',
                    TABLE = 'market_data', SCHEMA = 'entasis';
            END IF;
        END LOOP;
    END LOOP;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entasis_internal.refuse_repeated_ids IS
'Trigger of market_data: refuses trades that plain SQL inserts although their id is stored at another time, where ids are the exchange''s (SQLSTATE 23505), and records their market. Looks at the trades within a second, and at all times where ids rise with time. In a market whose id space nobody recorded, only what is equal but for the unit of time is refused.';
