-- One symbol after the other: its node answers for all of it. Ids are grouped over all trades: a repeated one may lie anywhere.
CREATE OR REPLACE FUNCTION entasis.check_ids(
    from_time timestamptz DEFAULT '-infinity', to_time timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    problem text,
    symbol varchar,
    exchange varchar,
    first_id bigint,
    last_id bigint,
    first_time timestamptz,
    last_time timestamptz,
    remedy text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    traded record;
BEGIN
    FOR traded IN SELECT DISTINCT m.symbol FROM entasis.markets AS m ORDER BY m.symbol LOOP
        RETURN QUERY
        WITH repeated AS (
            SELECT
                d.symbol,
                d.exchange,
                d.id,
                min(d.timestamp) AS first_time,
                max(d.timestamp) AS last_time,
                array_agg(d.timestamp ORDER BY d.created_at DESC, d.timestamp DESC) AS times,
                bool_and(m.id_space IS NOT NULL) AS is_recorded,
                min(d.price) = max(d.price) AND min(d.volume) = max(d.volume) AS is_one_content
            FROM entasis.market_data AS d
            LEFT JOIN entasis.markets AS m
                ON m.symbol = traded.symbol AND d.symbol = m.symbol AND d.exchange = m.exchange
            WHERE d.symbol = traded.symbol AND entasis_internal.is_exchange_id(m.id_space)
            GROUP BY d.symbol, d.exchange, d.id
            HAVING count(*) > 1 AND bool_or(
                d.timestamp >= check_ids.from_time AND d.timestamp < check_ids.to_time
            )
        ),

        minutes AS (
            SELECT
                c.symbol,
                c.exchange,
                c.opened_at,
                c.first_trade_id,
                lag(c.last_trade_id) OVER (
                    PARTITION BY c.symbol, c.exchange ORDER BY c.bucket
                ) AS id_before,
                lag(c.closed_at) OVER (
                    PARTITION BY c.symbol, c.exchange ORDER BY c.bucket
                ) AS time_before
            FROM entasis.ohlcv_1m AS c
            INNER JOIN entasis.markets AS m
                ON m.symbol = traded.symbol AND c.symbol = m.symbol AND c.exchange = m.exchange
            WHERE
                c.symbol = traded.symbol AND m.ids_rise AND entasis_internal.is_exchange_id(m.id_space)
                AND c.bucket >= check_ids.from_time AND c.bucket < check_ids.to_time
        )

        SELECT
            'repeated' AS problem,
            r.symbol,
            r.exchange,
            r.id AS first_id,
            r.id AS last_id,
            r.first_time,
            r.last_time,
            format(
                'DELETE FROM entasis.market_data WHERE symbol = %L AND exchange = %L'
                || ' AND id = %s AND timestamp = %L::timestamptz',
                r.symbol, r.exchange, r.id, r.times[1]
            ) AS remedy
        FROM repeated AS r
        -- without a loader that says what ids are, only what is equal but for the unit of time
        WHERE
            r.is_recorded
            OR (
                r.is_one_content
                AND entasis_internal.is_same_moment(r.last_time, r.first_time, 'us', '{s,ms}')
            )
            OR (
                r.is_one_content
                AND entasis_internal.is_same_moment(r.first_time, r.last_time, 'us', '{s,ms}')
            )
        UNION ALL
        SELECT
            'out of order' AS problem,
            o.symbol,
            o.exchange,
            o.first_trade_id AS first_id,
            o.id_before AS last_id,
            o.time_before AS first_time,
            o.opened_at AS last_time,
            NULL AS remedy
        FROM minutes AS o
        WHERE o.first_trade_id <= o.id_before
        ORDER BY symbol, exchange, first_time, first_id;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entasis.check_ids IS
'Ids of the exchange''s that cannot be right, of markets with trades in [from_time, to_time). repeated: one id is stored at several times, from first_time to last_time; remedy is the statement that removes the one that was stored last. out of order: in a market whose ids rise with time, a minute begins with first_id at last_time although the minute before it ended with the larger last_id at first_time; some of these trades have a wrong time. Reads all trades: run it when the database is quiet.';
