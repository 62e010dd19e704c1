-- What exchanges document of their ids. Binance numbers trades on liquidation among the others of its
-- futures, but does not publish all of them: these ids may have gaps.
CREATE OR REPLACE FUNCTION entasis_internal.known_id_order(
    exchange_name text, id_space text, OUT ids_rise boolean, OUT ids_dense boolean
)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT
        true AS ids_rise,
        k.ids_dense
    FROM (
        VALUES
        ('binance-spot', 'trade', true),
        ('binance-spot', 'aggtrade', true),
        ('binance-usdm', 'trade', null),
        ('binance-usdm', 'aggtrade', true),
        ('binance-cm', 'trade', null),
        ('binance-cm', 'aggtrade', true),
        ('coinbase', 'trade', true),
        ('deribit', 'trade_seq', true),
        ('kraken', 'trade', true),
        ('okx', 'trade', null)
    ) AS k (exchange, id_space, ids_dense)
    WHERE k.exchange = exchange_name AND k.id_space = known_id_order.id_space;
END;

COMMENT ON FUNCTION entasis_internal.known_id_order IS
'What is known of an exchange''s ids: whether they rise with time, and whether they have no gaps; NULL where it is not known.';
