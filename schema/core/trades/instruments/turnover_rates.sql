-- Without settings, so that it is inlined where it is called, and its row is looked up once a query.
CREATE OR REPLACE FUNCTION entasis_internal.turnover_rates(
    symbol_name text, exchange_name text
) RETURNS TABLE (per_volume numeric, per_quote_volume numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
    SELECT
        CASE
            WHEN m.kind NOT IN ('option', 'combo', 'spread')
                THEN
                    CASE
                        WHEN m.volume_unit = 'quote' THEN 1
                        WHEN
                            m.kind IN ('inverse_perpetual', 'inverse_future')
                            AND coalesce(m.volume_unit, 'contracts') = 'contracts'
                            THEN m.contract_size
                    END
        END AS per_volume,
        CASE
            WHEN m.kind = 'spot' AND coalesce(m.volume_unit, 'base') = 'base' THEN 1
            WHEN m.kind IN ('linear_perpetual', 'linear_future')
                THEN
                    CASE coalesce(m.volume_unit, 'contracts')
                        WHEN 'base' THEN 1
                        WHEN 'contracts' THEN m.contract_size
                    END
            WHEN m.kind IN ('inverse_perpetual', 'inverse_future') AND m.volume_unit = 'base' THEN 1
        END AS per_quote_volume
    FROM entasis.markets AS m
    WHERE
        m.symbol = turnover_rates.symbol_name
        AND m.exchange = turnover_rates.exchange_name;
END;

COMMENT ON FUNCTION entasis_internal.turnover_rates IS
'How turnover follows from a market''s candles: volume times per_volume or quote_volume times per_quote_volume, one of which is NULL. Both are where kind, contract_size or volume_unit do not say. The unit of futures is taken for contracts where it is not known.';
