-- Without settings, so that it is inlined into its callers, who run as the owner: it reads restores, which readers may
-- not.
CREATE OR REPLACE FUNCTION entasis_internal.known_again(
    relation_name text, symbol_name text, exchange_name text
) RETURNS TABLE (from_time timestamptz, to_time timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        s.from_time,
        s.to_time
    FROM entasis.restores AS s
    WHERE s.relation = known_again.relation_name AND s.attached_at IS NOT NULL
    UNION ALL
    SELECT
        o.from_time,
        o.to_time
    FROM entasis.reopened AS o
    WHERE
        o.relation = 'market_data'
        AND o.opened_at IS NOT NULL
        AND (
            o.symbol IS NULL
            OR (o.symbol = known_again.symbol_name AND o.exchange = known_again.exchange_name)
        );
END;

COMMENT ON FUNCTION entasis_internal.known_again IS
'Ranges [from_time, to_time) below the floor of market_data, or of candles stored of it, in which all of a market is known: those that an attached restore of the relation has brought back, and those that were reopened. They may overlap.';
