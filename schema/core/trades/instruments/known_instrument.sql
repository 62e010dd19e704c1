-- What exchanges document of their instruments, by the names that they give them:
-- - Binance: a COIN-M contract is 100 USD for BTC and 10 USD for any other coin, and is told in contracts;
--   USD-M is told in units of the base. Both deliver at 08:00 UTC of the day in the name.
-- - Deribit: the amount of inverse futures is in USD, of all else in units of the base. Combos have a code for
--   their form in the middle, FS for the difference of two futures; options and futures have a day there.
-- - OKX: swaps, futures and options are told in contracts, those quoted in USD are inverse.
-- - Bybit: inverse contracts are told in USD, linear ones in units of the base. BitMEX's XBTUSD is 1 USD.
-- Sizes that change, or differ from coin to coin, are left to the exchange's own list.
-- What is taken from a name for base, quote and settlement is ASCII, and a day that no month has (0231) counts into the
-- next: an error here would hold up the trades of the market.
CREATE OR REPLACE FUNCTION entasis_internal.known_instrument(
    symbol_name text,
    exchange_name text,
    OUT kind text,
    OUT base text,
    OUT quote text,
    OUT settlement text,
    OUT contract_size numeric,
    OUT expiry timestamptz,
    OUT volume_unit text
)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    WITH forms (exchange, form, kind, volume_unit, settled_in, contract_size) AS (
        VALUES
        ('binance-spot', '^()().', 'spot', 'base', null, null),
        ('binance-usdm', '^([A-Z0-9]+)(USD[TC])$', 'linear_perpetual', 'base', 'quote', 1),
        ('binance-usdm', '^([A-Z0-9]+)(USD[TC])_(\d{6})$', 'linear_future', 'base', 'quote', 1),
        ('binance-usdm', '^()()[^_]+$', 'linear_perpetual', 'base', null, 1),
        ('binance-usdm', '^()()[^_]+_(\d{6})$', 'linear_future', 'base', null, 1),
        ('binance-cm', '^(BTC)(USD)_PERP$', 'inverse_perpetual', 'contracts', 'base', 100),
        ('binance-cm', '^(BTC)(USD)_(\d{6})$', 'inverse_future', 'contracts', 'base', 100),
        ('binance-cm', '^([A-Z0-9]+)(USD)_PERP$', 'inverse_perpetual', 'contracts', 'base', 10),
        ('binance-cm', '^([A-Z0-9]+)(USD)_(\d{6})$', 'inverse_future', 'contracts', 'base', 10),
        ('binance-cm', '^()().', null, 'contracts', null, null),
        (
            'binance-european-options', '^([A-Z0-9]+)()-\d{6}-\d+-[CP]$',
            'option', null, null, null
        ),
        ('bitmex', '^(XBT)(USD)$', 'inverse_perpetual', 'contracts', 'base', 1),
        ('bybit', '^()().*-SPOT$', 'spot', 'base', null, null),
        ('bybit', '^([A-Z0-9]+)(USDT)$', 'linear_perpetual', 'base', 'quote', null),
        ('bybit', '^([A-Z0-9]+)(USD)$', 'inverse_perpetual', 'quote', 'base', null),
        (
            'bybit', '^([A-Z0-9]+)()-\d+[A-Z]{3}\d\d-\d+-[CP](?:-USDT)?$',
            'option', 'base', null, null
        ),
        ('coinbase', '^([A-Z0-9]+)-([A-Z]+)$', 'spot', 'base', null, null),
        ('deribit', '^(BTC|ETH)()-PERPETUAL$', 'inverse_perpetual', 'quote', 'base', null),
        ('deribit', '^(BTC|ETH)()-\d+[A-Z]{3}\d\d$', 'inverse_future', 'quote', 'base', null),
        ('deribit', '^(BTC|ETH)()-\d+[A-Z]{3}\d\d-\d+-[CP]$', 'option', 'base', 'base', null),
        ('deribit', '^([A-Z0-9]+)_([A-Z]+)$', 'spot', 'base', null, null),
        ('deribit', '^([A-Z0-9]+)_(USD[TC])-PERPETUAL$', 'linear_perpetual', 'base', 'quote', null),
        (
            'deribit', '^([A-Z0-9]+)_(USD[TC])-\d+[A-Z]{3}\d\d$',
            'linear_future', 'base', 'quote', null
        ),
        (
            'deribit', '^([A-Z0-9]+)_(USD[TC])-\d+[A-Z]{3}\d\d-[0-9d]+-[CP]$',
            'option', 'base', 'quote', null
        ),
        ('deribit', '^(BTC|ETH)()-FS-.', 'spread', 'quote', 'base', null),
        ('deribit', '^([A-Z0-9]+)(?:_[A-Z0-9]+)?()-FS-.', 'spread', null, null, null),
        ('deribit', '^([A-Z0-9]+)(?:_[A-Z0-9]+)?()-[A-Z][A-Z0-9]*-.', 'combo', null, null, null),
        ('kraken', '^([A-Z0-9]+)/([A-Z0-9]+)$', 'spot', 'base', null, null),
        ('okx', '^([A-Z0-9]+)-([A-Z0-9]+)$', 'spot', 'base', null, null),
        ('okx', '^([A-Z0-9]+)-(USD)-SWAP$', 'inverse_perpetual', 'contracts', 'base', null),
        ('okx', '^([A-Z0-9]+)-(USD)-\d{6}$', 'inverse_future', 'contracts', 'base', null),
        ('okx', '^([A-Z0-9]+)-(USD[TC])-SWAP$', 'linear_perpetual', 'contracts', 'quote', null),
        ('okx', '^([A-Z0-9]+)-(USD[TC])-\d{6}$', 'linear_future', 'contracts', 'quote', null),
        ('okx', '^([A-Z0-9]+)-([A-Z0-9]+)-\d{6}-[0-9.]+-[CP]$', 'option', 'contracts', null, null)
    ),

    found AS (
        SELECT
            f.*,
            row_number() OVER () AS nth,
            regexp_match(known_instrument.symbol_name, f.form) AS parts
        FROM forms AS f
        WHERE
            f.exchange = known_instrument.exchange_name
            AND known_instrument.symbol_name ~ f.form
    )

    SELECT
        f.kind,
        nullif(f.parts[1], '') AS base,
        CASE
            WHEN f.exchange = 'deribit' AND f.volume_unit = 'quote' THEN 'USD'
            ELSE nullif(f.parts[2], '')
        END AS quote,
        CASE f.settled_in
            WHEN 'base' THEN nullif(f.parts[1], '')
            WHEN 'quote' THEN nullif(f.parts[2], '')
        END AS settlement,
        f.contract_size::numeric,
        (
            make_date(2000 + left(f.parts[3], 2)::integer, 1, 1)
            + make_interval(
                months => substr(f.parts[3], 3, 2)::integer - 1,
                days => right(f.parts[3], 2)::integer - 1,
                hours => 8
            )
        ) AT TIME ZONE 'UTC' AS expiry,
        f.volume_unit
    FROM found AS f
    ORDER BY f.nth
    LIMIT 1;
END;

COMMENT ON FUNCTION entasis_internal.known_instrument IS
'What is known of a new market by the names of its exchange and its instrument, as columns of entasis.markets; NULL where it is not known.';
