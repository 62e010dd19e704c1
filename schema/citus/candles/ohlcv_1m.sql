-- A row with trades = 0 is a placeholder: it locks a bucket while its candle is recomputed, and is filled or
-- deleted before the statement ends. Other transactions never see one.
CREATE TABLE IF NOT EXISTS entasis.ohlcv_1m (
    symbol varchar(64) COLLATE "C" NOT NULL,
    exchange varchar(64) COLLATE "C" NOT NULL,
    bucket timestamptz NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    quote_volume numeric NOT NULL,
    trades bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    first_trade_id bigint NOT NULL,
    closed_at timestamptz NOT NULL,
    last_trade_id bigint NOT NULL,
    CONSTRAINT ohlcv_1m_pkey PRIMARY KEY (symbol, exchange, bucket)
) PARTITION BY RANGE (bucket);

-- Once a table is distributed it stays so: there is no IF NOT EXISTS for it.
DO $distribute$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_dist_partition AS p
        WHERE p.logicalrelid = 'entasis.ohlcv_1m'::regclass
    ) THEN
        PERFORM create_distributed_table('entasis.ohlcv_1m', 'symbol', colocate_with => 'entasis.market_data');
    END IF;
END
$distribute$;
