"""Deleting full backups beyond so many, with the incremental ones that need them."""

from entasis_db.backups.base import place
from entasis_db.backups.base.place import Place


def expire(there: Place, keep_fulls: int) -> tuple[str, ...]:
    """Delete whole chains, so that the newest ``keep_fulls`` good full backups stay; return labels.

    One that is damaged counts for nothing, so the last good one is never deleted.
    """
    good = [b.label for b in there.backups.values() if b.kind == "full" and there.is_intact(b)]
    if len(good) <= max(keep_fulls, 1):
        return ()
    oldest = good[-max(keep_fulls, 1)]
    doomed = [one for one in there.unreadable if one < oldest]
    doomed += [b.label for b in there.backups.values() if there.root(b) < oldest]
    # the newest first: what a killed run leaves of a chain can still be restored
    for one in sorted(doomed, reverse=True):
        place.delete(there.store, one)
    return tuple(sorted(doomed))
