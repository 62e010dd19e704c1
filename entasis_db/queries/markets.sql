-- Every market on record, with what is known of its instrument and from when to when it has candles.
SELECT
    m.symbol,
    m.exchange,
    m.kind,
    m.base,
    m.quote,
    m.settlement,
    m.contract_size,
    m.tick_size,
    m.lot_size,
    m.expiry,
    m.volume_unit,
    m.is_active,
    m.usual_gap,
    m.id_space,
    m.ids_rise,
    m.ids_dense,
    m.time_units,
    m.source,
    m.recorded_at,
    m.set_by_hand,
    c.first_trade,
    c.last_trade,
    coalesce(c.trades, 0) AS trades
FROM entasis.markets AS m
LEFT JOIN
    entasis.market_coverage AS c
    ON m.symbol OPERATOR(pg_catalog.=) c.symbol AND m.exchange OPERATOR(pg_catalog.=) c.exchange
WHERE
    %(exchange)s::pg_catalog.text IS NULL
    OR m.exchange OPERATOR(pg_catalog.=) %(exchange)s::pg_catalog.text
ORDER BY m.exchange, m.symbol;
