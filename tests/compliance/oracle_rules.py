"""R1–R6 and R9 of rules.md once more, slow and obvious: written from the text, sentence by sentence, and sharing no rule with the program.

Time is cut at every instant at which anything can change, and each piece between two cuts is asked what holds in it::

    rows ──▶ one series per point ──▶ rooms:    pieces ──▶ alarms (R3) ──────────┐
                                  └─▶ stations: pieces ──▶ outages (R4) ─▶ duties (R5), complaints (R6); keeping (R9)

Instants are UTC milliseconds; the clocks of the rules count whole milliseconds, temperatures are compared as fractions.
"""

from collections.abc import Sequence

from domain.site import Site
from tests.compliance.oracle_desk import complaints
from tests.compliance.oracle_heat import judge_outages
from tests.compliance.oracle_keeping import keeping
from tests.compliance.oracle_rooms import Row, Said, read, room_alarm, rooms_of


def decide(site: Site, rows: Sequence[Row], to_ms: int | None = None) -> list[Said]:
    """Every event of R3–R6 and R9 that the rows give, up to ``to_ms``, in order of time."""
    given = read(site, rows, to_ms)
    outages, said = judge_outages(given)
    raised: list[tuple[int, str]] = []
    for room_id, room in sorted(rooms_of(given).items()):
        alarms = room_alarm(given, room)
        said.extend(alarms)
        raised.extend((event.at, room_id) for event in alarms if event.event == "alarm.raised")
    said.extend(complaints(given, raised, outages))
    said.extend(keeping(given))
    return sorted((event for event in said if event.at <= given.to_ms), key=lambda event: (event.at, event.event, event.subject))
