-- Without settings, so that it is inlined. The function beneath is each engine's own.
CREATE OR REPLACE FUNCTION entasis.latest_price(symbol_name text, exchange_name text)
RETURNS SETOF entasis.market_data
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT t.* -- noqa: AM04
    FROM
        entasis_internal.latest_trade(
            latest_price.symbol_name, latest_price.exchange_name
        ) AS t;
END;

COMMENT ON FUNCTION entasis.latest_price IS
'The newest trade of one market that candles count, by (timestamp, id), as a row of market_data: one row, or none where no trade is stored. Its timestamp says how old it is; nothing here says whether the market still trades.';
