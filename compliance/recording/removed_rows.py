"""What stands in the records of rooms and stations that the site has no more: ended, since no reading will ever end it."""

from typing import Final

from sqlalchemy import Connection, select, update

from compliance.events import Event
from compliance.recording.alarm_rows import ALARMS, KIND, STATION_CLEARS, clear_alarm
from compliance.recording.event_rows import add_transition, record_event
from compliance.recording.outage_rows import OUTAGES
from domain.site import Site

REMOVED: Final = "removed"  # why an alarm was cleared, or an outage ended, whose room or station was taken out of the site
_ENDED_BY: Final = {KIND: "alarm.cleared"} | {kind: event for event, kinds in STATION_CLEARS.items() for kind in kinds}


def end_removed(connection: Connection, site: Site, now_ms: int) -> None:
    """Clears the alarms and ends the outages of what is not in the site; published notices stay until a person closes them.

    Of a share of the site nothing is ended: what is not here may be another node's.
    """
    if site.share.count > 1:
        return
    alarms = connection.execute(select(ALARMS.c.kind, ALARMS.c.subject).where(ALARMS.c.cleared_at.is_(None))).all()
    for row in alarms:
        if row.kind in _ENDED_BY and not _known(site, row.subject):
            clear_alarm(connection, row.subject, now_ms, REMOVED, row.kind)
            record_event(connection, Event(now_ms, _ENDED_BY[row.kind], row.subject, {"reason": REMOVED}))
    columns = OUTAGES.c
    for row in connection.execute(
        select(columns.id, columns.subject).where(columns.state == "open", columns.station_id.is_not(None))
    ).all():
        if not _known(site, row.subject):
            ended = {"state": "ended", "ended_at": now_ms, "ended_seen_at": now_ms}
            connection.execute(update(OUTAGES).where(columns.id == row.id).values(ended))
            add_transition(connection, "outage", row.id, ("open", "ended"), now_ms, why=REMOVED)
            record_event(connection, Event(now_ms, "outage.ended", row.subject, {"reason": REMOVED}))


def _known(site: Site, subject: str) -> bool:
    kind, _, subject_id = subject.partition("/")
    return subject_id in (site.rooms if kind == "room" else site.stations)
