-- Without settings, so that it is inlined into the caller's query. The rates are subqueries of their own: a join
-- would give the planner another order to choose.
CREATE OR REPLACE FUNCTION entasis.candles(
    symbol_name text,
    exchange_name text,
    candle_interval entasis.candle_interval,
    from_time timestamptz DEFAULT '2009-01-01 00:00:00+00',
    to_time timestamptz DEFAULT now() + interval '1 day',
    source entasis.candle_source DEFAULT 'trades'
) RETURNS TABLE (
    symbol varchar,
    exchange varchar,
    bucket timestamptz,
    open numeric,
    high numeric,
    low numeric,
    close numeric,
    volume numeric,
    quote_volume numeric,
    trades bigint,
    opened_at timestamptz,
    first_trade_id bigint,
    closed_at timestamptz,
    last_trade_id bigint,
    turnover numeric,
    vwap numeric
)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
    SELECT
        c.symbol,
        c.exchange,
        c.bucket,
        c.open,
        c.high,
        c.low,
        c.close,
        c.volume,
        c.quote_volume,
        c.trades,
        c.opened_at,
        c.first_trade_id,
        c.closed_at,
        c.last_trade_id,
        coalesce(
            c.volume * (
                SELECT r.per_volume
                FROM
                    entasis_internal.turnover_rates(
                        candles.symbol_name, candles.exchange_name
                    ) AS r
            ),
            c.quote_volume * (
                SELECT r.per_quote_volume
                FROM
                    entasis_internal.turnover_rates(
                        candles.symbol_name, candles.exchange_name
                    ) AS r
            )
        ) AS turnover,
        c.quote_volume / nullif(c.volume, 0) AS vwap
    FROM
        entasis_internal.read_candles(
            candles.symbol_name,
            candles.exchange_name,
            candles.candle_interval,
            candles.from_time,
            candles.to_time,
            candles.source
        ) AS c;
END;

COMMENT ON FUNCTION entasis.candles IS
'Candles of one market whose buckets start in [from_time, to_time); both times must be finite, and are by default the beginning of 2009 and a day from now, between which all trades lie. A bucket that is computed from shorter ones and starts below their floor has no row. turnover is what was traded in quote units, exact: volume * contract_size for inverse contracts, the sum of price * volume for spot, times contract_size for linear contracts that are counted in contracts; NULL where entasis.markets does not know kind or size. vwap is quote_volume / volume, in quote units, rounded half away from zero to at least 16 significant digits and no fewer decimals than quote_volume has. With source => ''exchange'' they are those that the exchange publishes (exchange_candles), whose first and last trades are NULL, and quote_volume and trades where it does not state them. Ordered only if the query says so. Reads only the partitions of the range.';
