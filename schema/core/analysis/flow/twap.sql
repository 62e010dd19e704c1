CREATE OR REPLACE FUNCTION entasis.twap(
    symbol_name text,
    exchange_name text,
    from_time timestamptz,
    to_time timestamptz,
    max_age interval DEFAULT interval '1 day'
) RETURNS TABLE (
    starts_at timestamptz,
    ends_at timestamptz,
    trades bigint,
    twap numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        min(p.at) AS starts_at,
        max(p.until) AS ends_at,
        count(p.trade_id) AS trades,
        (
            sum(p.price * extract(EPOCH FROM p.until - p.at)) + 0.000000000000000000000000
        ) / nullif(sum(extract(EPOCH FROM p.until - p.at)), 0) AS twap
    FROM (
        SELECT
            s.at,
            s.price,
            s.trade_id,
            lead(s.at, 1, least(twap.to_time, statement_timestamp()))
                OVER (ORDER BY s.at, s.is_trade, s.trade_id) AS until
        FROM (
            SELECT
                twap.from_time AS at,
                a.price,
                false AS is_trade,
                null::bigint AS trade_id
            FROM
                entasis_internal.trade_asof(
                    twap.symbol_name, twap.exchange_name, twap.from_time, twap.max_age
                ) AS a
            WHERE twap.from_time < least(twap.to_time, statement_timestamp())
            UNION ALL
            SELECT
                d.timestamp AS at,
                d.price,
                true AS is_trade,
                d.id AS trade_id
            FROM entasis.market_data AS d
            WHERE
                d.symbol = twap.symbol_name
                AND d.exchange = twap.exchange_name
                AND d.timestamp >= twap.from_time
                AND d.timestamp < least(twap.to_time, statement_timestamp())
                AND d.excluded IS null
        ) AS s
        WHERE
            (
                SELECT
                    entasis_internal.trades_known_from(
                        twap.symbol_name, twap.exchange_name, twap.from_time
                    )
            ) = twap.from_time
    ) AS p;
END;

COMMENT ON FUNCTION entasis.twap IS
'Average price of one market in [from_time, to_time), weighted by time: always one row. Each price stands from its trade to the next one; at from_time the last one before it, no older than max_age, stands. twap is the mean over [starts_at, ends_at), in quote units, to at least 24 decimals; starts_at is from_time, or the first trade where no price is known at from_time; ends_at is to_time or, if that is still to come, now. trades says how many were made in the range. twap is NULL without a price, and all but trades, which is 0, where trades of the range were dropped. Of several trades at one moment the last by id stands. Every trade of the range is read. Reads only the partitions of the range.';
