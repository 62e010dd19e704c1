CREATE OR REPLACE TRIGGER notify_instrument_change
AFTER INSERT OR UPDATE OR DELETE ON entasis.markets
FOR EACH ROW EXECUTE FUNCTION entasis_internal.notify_instrument_change();
