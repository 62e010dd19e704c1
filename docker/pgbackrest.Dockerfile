# The image of compose.yaml with pgBackRest in it: archive_command runs where the server runs.
FROM timescale/timescaledb:2.28.3-pg17
# PostgreSQL 17 needs pgBackRest 2.54 or later; an older one must not get as far as the first backup
RUN apk add --no-cache pgbackrest \
    && pgbackrest version \
    && printf '%s\n' "pgBackRest 2.54" "$(pgbackrest version)" | sort -V -C \
    && install -d -o postgres -g postgres -m 750 /var/lib/pgbackrest /var/log/pgbackrest /var/spool/pgbackrest
