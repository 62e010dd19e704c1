-- entasis_db/ingest/computed.py does the same with what it sends.
CREATE OR REPLACE FUNCTION entasis_internal.round_staged_options(
    OUT rounded bigint,
    OUT nulled bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH changes AS MATERIALIZED (
        SELECT
            s.ctid AS place, v.*,
            (s.iv <> v.iv IS TRUE)::integer
            + (s.bid_iv <> v.bid_iv IS TRUE)::integer
            + (s.ask_iv <> v.ask_iv IS TRUE)::integer
            + (s.delta <> v.delta IS TRUE)::integer
            + (s.gamma <> v.gamma IS TRUE)::integer
            + (s.theta <> v.theta IS TRUE)::integer
            + (s.vega <> v.vega IS TRUE)::integer
            + (s.rho <> v.rho IS TRUE)::integer AS rounded,
            num_nulls(
                v.iv, v.bid_iv, v.ask_iv, v.delta, v.gamma, v.theta, v.vega, v.rho, v.bid_price,
                v.ask_price, v.mark_price, v.underlying_price, v.open_interest
            ) - num_nulls(
                s.iv, s.bid_iv, s.ask_iv, s.delta, s.gamma, s.theta, s.vega, s.rho, s.bid_price,
                s.ask_price, s.mark_price, s.underlying_price, s.open_interest
            ) AS nulled
        FROM pg_temp.entasis_staged_options AS s
        CROSS JOIN LATERAL (
            SELECT
                entasis_internal.stored_greek(s.iv, 0, 1e6) AS iv,
                entasis_internal.stored_greek(s.bid_iv, 0, 1e6) AS bid_iv,
                entasis_internal.stored_greek(s.ask_iv, 0, 1e6) AS ask_iv,
                entasis_internal.stored_greek(s.delta, NULL, 1e12) AS delta,
                entasis_internal.stored_greek(s.gamma, NULL, 1e12) AS gamma,
                entasis_internal.stored_greek(s.theta, NULL, 1e12) AS theta,
                entasis_internal.stored_greek(s.vega, NULL, 1e12) AS vega,
                entasis_internal.stored_greek(s.rho, NULL, 1e12) AS rho,
                nullif(s.bid_price, 'NaN') AS bid_price,
                nullif(s.ask_price, 'NaN') AS ask_price,
                nullif(s.mark_price, 'NaN') AS mark_price,
                nullif(s.underlying_price, 'NaN') AS underlying_price,
                nullif(s.open_interest, 'NaN') AS open_interest
        ) AS v
        WHERE row(
            v.iv, v.bid_iv, v.ask_iv, v.delta, v.gamma, v.theta, v.vega, v.rho, v.bid_price,
            v.ask_price, v.mark_price, v.underlying_price, v.open_interest
        ) IS DISTINCT FROM row(
            s.iv, s.bid_iv, s.ask_iv, s.delta, s.gamma, s.theta, s.vega, s.rho, s.bid_price,
            s.ask_price, s.mark_price, s.underlying_price, s.open_interest
        )
    ),
    put AS (
        UPDATE pg_temp.entasis_staged_options AS s
        SET
            iv = c.iv,
            bid_iv = c.bid_iv,
            ask_iv = c.ask_iv,
            delta = c.delta,
            gamma = c.gamma,
            theta = c.theta,
            vega = c.vega,
            rho = c.rho,
            bid_price = c.bid_price,
            ask_price = c.ask_price,
            mark_price = c.mark_price,
            underlying_price = c.underlying_price,
            open_interest = c.open_interest
        FROM changes AS c
        WHERE s.ctid = c.place
    )
    SELECT coalesce(sum(c.rounded), 0), coalesce(sum(c.nulled), 0) INTO rounded, nulled
    FROM changes AS c;
END
$$;

COMMENT ON FUNCTION entasis_internal.round_staged_options IS
'Makes what pg_temp.entasis_staged_options holds of volatilities and greeks into what option_data stores: rounded half to even to 18 decimals, and NULL for NaN, the infinities and what is out of bounds. NaN of another number is NULL too. rounded and nulled count the values that it changed so.';
