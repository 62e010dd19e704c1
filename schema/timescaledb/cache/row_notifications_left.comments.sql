COMMENT ON SEQUENCE entasis_internal.row_notifications_left IS
'For each session, as currval(): how many changed rows of its statement are still notified one by one. See start_row_notifications().';
