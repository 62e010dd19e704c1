CREATE OR REPLACE TRIGGER refuse_short_candle_keep
AFTER INSERT OR UPDATE OR DELETE ON entasis.keep_periods
FOR EACH STATEMENT EXECUTE FUNCTION entasis_internal.refuse_short_candle_keep();
