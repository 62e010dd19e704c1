-- What a session has set here it alone reads, by currval(), and only the owner may set it: a setting could be changed by
-- the very statement whose rows are to be notified.
CREATE SEQUENCE IF NOT EXISTS entasis_internal.row_notifications_left MINVALUE 0;
