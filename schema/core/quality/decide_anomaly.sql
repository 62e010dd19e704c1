CREATE OR REPLACE FUNCTION entasis.decide_anomaly(
    anomaly bigint, decision text, remark text DEFAULT NULL, reason text DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    known entasis.anomalies;
    other bigint;
    word text;
    changed boolean := false;
BEGIN
    IF decision NOT IN ('acknowledged', 'confirmed', 'dismissed') OR decision IS NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('an anomaly cannot be %s', coalesce(decision, 'NULL')),
            HINT = 'It can be acknowledged, confirmed or dismissed.';
    END IF;
    SELECT a.* INTO known FROM entasis.anomalies AS a WHERE a.id = anomaly FOR UPDATE;
    IF NOT FOUND THEN
        RAISE no_data_found USING
            MESSAGE = format('there is no anomaly %s', anomaly),
            HINT = 'entasis anomalies list has them.';
    END IF;

    IF known.relation = 'market_data' AND known.kind NOT IN ('refused', 'stuck_price') THEN
        IF decision = 'confirmed' THEN
            word := coalesce(
                reason, CASE known.kind WHEN 'duplicate' THEN 'duplicate' ELSE 'confirmed_bad' END
            );
            -- also where partitions are gone, and no trigger could say so
            PERFORM entasis_internal.refuse_below_floor('market_data', known.begins_at, known.symbol, known.exchange);
            UPDATE entasis.market_data AS d SET excluded = word
            WHERE d.symbol = known.symbol AND d.exchange = known.exchange
                AND d.timestamp = known.begins_at AND d.id = (known.row_key ->> 'id')::bigint
                AND d.excluded IS NULL;
            changed := FOUND;
            IF NOT changed THEN
                PERFORM FROM entasis.market_data AS d
                WHERE d.symbol = known.symbol AND d.exchange = known.exchange
                    AND d.timestamp = known.begins_at AND d.id = (known.row_key ->> 'id')::bigint;
                IF NOT FOUND THEN
                    RAISE no_data_found USING
                        MESSAGE = format(
                            'the trade %s of %s %s at %s is not stored any more',
                            known.row_key ->> 'id', known.exchange, known.symbol, known.begins_at
                        ),
                        HINT = 'There is nothing to exclude: dismiss the anomaly instead.';
                END IF;
            END IF;
        ELSIF known.excluded_as IS NOT NULL THEN
            -- another anomaly of the same trade that is confirmed keeps it excluded
            SELECT a.id INTO other FROM entasis.anomalies AS a
            WHERE a.symbol = known.symbol AND a.exchange = known.exchange AND a.relation = 'market_data'
                AND a.begins_at = known.begins_at AND a.row_key = known.row_key
                AND a.state = 'confirmed' AND a.id <> known.id
                AND a.kind NOT IN ('refused', 'stuck_price')
            ORDER BY a.id LIMIT 1
            FOR UPDATE;
            IF FOUND THEN
                UPDATE entasis.anomalies AS a SET excluded_as = known.excluded_as WHERE a.id = other;
            ELSE
                PERFORM entasis_internal.refuse_below_floor(
                    'market_data', known.begins_at, known.symbol, known.exchange
                );
                UPDATE entasis.market_data AS d SET excluded = NULL
                WHERE d.symbol = known.symbol AND d.exchange = known.exchange
                    AND d.timestamp = known.begins_at AND d.id = (known.row_key ->> 'id')::bigint
                    AND d.excluded = known.excluded_as;
                changed := FOUND;
            END IF;
        END IF;
    END IF;

    UPDATE entasis.anomalies AS a SET
        state = decision,
        decided_at = clock_timestamp(),
        decided_by = session_user,
        note = coalesce(remark, a.note),
        excluded_as = CASE
            WHEN decision <> 'confirmed' THEN NULL
            WHEN changed THEN word
            ELSE a.excluded_as
        END
    WHERE a.id = anomaly;
    RETURN changed;
END
$$;

COMMENT ON FUNCTION entasis.decide_anomaly IS
'Notes who decided what of an anomaly, and when: acknowledged, confirmed or dismissed, with a remark (NULL: the one before stays). Confirming that of one trade excludes the trade from candles, with the reason (NULL: confirmed_bad, or duplicate); any other decision takes that back if it was this anomaly that had excluded it. Returns whether the trade was changed. Raises check_violation below the floor, no_data_found where there is no such anomaly or the trade is gone, invalid_parameter_value for another decision.';
