"""Rule cases as data: what was measured, in shorthand, and every event that must follow.

A case is a TOML file in ``cases/``::

    title = "what is shown"
    date = "2026-01-14"                    # the local day of bare times; "+1 06:10" is the day after, "-1 22:00" the day before
    until = "+1 07:00"                     # judged up to here; left out: the latest end of a stand
    policy = "default"                     # or the name of a policy file in cases/policies/

    [rooms.R1]                             # columns of rooms.csv; [buildings.B1], [stations.S1] likewise
    offset_k = 0.0

    [curves]
    S1 = "-20:70, 0:46"                    # outdoor:supply, filed before everything; "| 0 0 3 …" behind it are twelve offsets

    [readings]                             # from..to/step value: from, from + step, … up to but not including to
    "room/R1/indoor_temp_c" = "05:00..07:10/10m 17.9, 07:10 18.4"
    "station/S1/secondary_flow_m3h" = "20:00..22:00/1m 80, 22:00 0 bad"      # a quality may follow, then "@12:00:00.5", the receipt
    "station/S2/secondary_flow_m3h" = "20:00..22:00/1m 80 @+1 06:00"         # the receipt of all of them: they come late
    "room/R2..R5/indoor_temp_c" = "05:00..07:10/10m 17.9"                    # four rooms alike; [rooms."R2..R5"] as well

    expect = [                             # all events, in order of time; key=value parts where they matter
      "06:00:00 alarm.pending room/R1",
      "22:15:00 outage.opened station/S1 started_at=22:00:00",
      "07:00:00 alarm.raised room/R2..R5",                                   # four lines in one; rooms=R1..R5 lists five
    ]

    alarms = ["room/R1 07:00:00..08:30:00 recovered"]                        # what stands as true at the end; "07:00:00.." is open

``exclusions`` and ``planned_stops`` are lists of ``"R1 08:00..+3 08:00 reason"``; an exclusion ``08:00..open`` has no end.
``ignore = ["alarm."]`` leaves out events by prefix.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from compliance.events import Event
from domain.curve import FiledCurve
from domain.policy_file import parse_policy
from domain.reading import Quality
from domain.site import Building, Exclusion, PlannedStop, Room, Site, Station
from store.site_folder import load_policy
from tests.compliance.feeding import ZONE

CASES = Path(__file__).parent / "cases"
_SPAN = re.compile(
    r"^(?P<start>\S+(?: \S+)?)\.\.(?P<stop>\S+(?: \d\S*:\S+)?)/(?P<step>\d+(?:\.\d+)?)(?P<unit>[sm]) (?P<value>\S+)(?: (?P<quality>\w+))?"
    r"(?: @(?P<received>(?:[+-]\d+ )?\S+))?$"
)
_ONE = re.compile(
    r"^(?P<start>(?:[+-]\d+ )?\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (?P<value>\S+)(?: (?P<quality>\w+))?"
    r"(?: @(?P<received>(?:[+-]\d+ )?\S+))?$"
)
_SEVERAL = re.compile(r"(?P<word>[A-Za-z]+)(?P<first>\d+)\.\.(?P=word)(?P<last>\d+)")
_TIMES = ("started_at", "started_earliest", "ended_at")

CaseRow = tuple[str, int, float, int, int]


@dataclass(frozen=True)
class Case:
    """One case, ready to run: a site, rows (point, measured at, value, quality, received at) and the lines expected."""

    name: str
    title: str
    day: date
    site: Site
    rows: list[CaseRow]
    until_ms: int | None
    expect: list[str]
    ignore: tuple[str, ...] = field(default=())
    alarms: list[str] | None = None

    def said(self, events: list[Event]) -> list[str]:
        """The events as lines, each with just the parts that the line expected for it names."""
        wanted: dict[str, list[list[str]]] = {}
        for head, *parts in self._lines():
            wanted.setdefault(head, []).append([part.partition("=")[0] for part in parts])
        lines = []
        for event in events:
            if event.event.startswith(self.ignore):
                continue
            head = f"{self.shown(event.at)} {event.event} {event.subject}"
            keys = wanted.get(head, [[]])
            named = keys.pop(0) if len(keys) > 1 else keys[0]
            lines.append(" ".join([head, *(f"{key}={self._part(key, event.body.get(key))}" for key in named)]))
        return sorted(lines, key=self._order)

    def expected(self) -> list[str]:
        """The lines expected, in the same order."""
        return sorted((" ".join(line) for line in self._lines()), key=self._order)

    def _lines(self) -> list[list[str]]:
        """Every line expected as its head (instant, event, one subject) and its parts."""
        lines: list[list[str]] = []
        for line in self.expect:
            head, *parts = _head(line)
            listed = [_SEVERAL.sub(lambda found: ",".join(several(found[0])), part) for part in parts]
            lines.extend([one, *listed] for one in several(head))
        return lines

    def alarms_of(self, events: list[Event]) -> list[str]:
        """The room alarms that these events make up, as the key ``alarms`` writes them."""
        found: dict[str, list[tuple[int, int | None, str]]] = {}
        for event in sorted(events, key=lambda one: one.at):
            if event.event == "alarm.raised":
                found.setdefault(event.subject, []).append((event.at, None, ""))
            elif event.event == "alarm.cleared":
                found[event.subject][-1] = (found[event.subject][-1][0], event.at, event.body["reason"])
        return self.alarm_lines((subject, *one) for subject, alarms in found.items() for one in alarms)

    def alarm_lines(self, alarms: Iterable[tuple[str, int, int | None, str | None]]) -> list[str]:
        """Subject, raised, cleared and why, as the key ``alarms`` writes them."""
        return sorted(
            f"{subject} {self.shown(raised_at)}..{'' if cleared_at is None else f'{self.shown(cleared_at)} {why}'}"
            for subject, raised_at, cleared_at, why in alarms
        )

    def _order(self, line: str) -> tuple[int, str]:
        return self.instant(" ".join(line.split(" ")[: 2 if line[0] in "+-" else 1])), line

    def _part(self, key: str, value: Any) -> str:
        if key in _TIMES and value is not None:
            return self.shown(value).replace(" ", "_")
        return ",".join(str(one) for one in value) if isinstance(value, list) else str(value)

    def instant(self, text: str) -> int:
        """UTC ms of ``06:00``, ``06:00:00.5`` or ``+1 06:00``."""
        return instant_ms(self.day, text)

    def shown(self, at: int) -> str:
        """An instant as the case files write it."""
        local = datetime.fromtimestamp(at / 1000, ZONE)
        days = (local.date() - self.day).days
        clock = f"{local:%H:%M:%S}" + (f".{at % 1000:03d}" if at % 1000 else "")
        return clock if days == 0 else f"{days:+d} {clock}"


def several(text: str) -> list[str]:
    """``room/R2..R4`` as ``room/R2``, ``room/R3``, ``room/R4``; any other text as it is."""
    found = _SEVERAL.search(text)
    if found is None:
        return [text]
    width = len(found["first"])
    numbers = range(int(found["first"]), int(found["last"]) + 1)
    return [f"{text[: found.start()]}{found['word']}{number:0{width}d}{text[found.end() :]}" for number in numbers]


def _head(line: str) -> list[str]:
    words = line.split()
    count = 4 if line[0] in "+-" else 3
    return [" ".join(words[:count]), *words[count:]]


def instant_ms(day: date, text: str) -> int:
    """UTC ms of a local time on a day, or so many days after or before it."""
    days = 0
    if text[0] in "+-":
        shift, _, text = text.partition(" ")
        days = int(shift)
    clock = datetime.strptime(text, "%H:%M:%S.%f" if "." in text else "%H:%M:%S" if text.count(":") == 2 else "%H:%M")  # noqa: DTZ007 (local, see next line)
    local = datetime.combine(day + timedelta(days=days), clock.time(), ZONE)
    return round(local.timestamp() * 1000)


def load_case(path: Path) -> Case:
    """Reads a case file. Raises ValueError naming what can't be read."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    day = date.fromisoformat(document["date"])
    rows: list[CaseRow] = []
    for points, text in document.get("readings", {}).items():
        for point in several(points):
            rows.extend(_rows(day, point, text))
    until = document.get("until")
    return Case(
        path.stem,
        document["title"],
        day,
        _site(document, day),
        rows,
        None if until is None else instant_ms(day, until),
        document["expect"],
        tuple(document.get("ignore", ())),
        document.get("alarms"),
    )


def _rows(day: date, point: str, text: str) -> list[CaseRow]:
    rows: list[CaseRow] = []
    for part in (one.strip() for one in text.split(",")):
        span, one = _SPAN.match(part), _ONE.match(part)
        found = span or one
        if found is None:
            raise ValueError(f"{point}: {part!r} is neither 'from..to/step value' nor 'time value'")
        quality = int(Quality[(found["quality"] or "good").upper()])
        start = instant_ms(day, found["start"])
        if span is None:
            received_at = instant_ms(day, found["received"]) if found["received"] else start
            rows.append((point, start, float(found["value"]), quality, received_at))
            continue
        step_ms = round(float(span["step"]) * (60_000 if span["unit"] == "m" else 1000))
        late_at = instant_ms(day, span["received"]) if span["received"] else None
        each = range(start, instant_ms(day, span["stop"]), step_ms)
        rows.extend((point, at, float(span["value"]), quality, at if late_at is None else late_at) for at in each)
    return rows


def _site(document: dict[str, Any], day: date) -> Site:
    name = document.get("policy", "default")
    if name == "default":
        policy = load_policy(Path("default"))
    else:
        content = (CASES / "policies" / f"{name}.toml").read_bytes()
        policy = parse_policy(tomllib.loads(content.decode()), content, name)
    curves: dict[str, tuple[FiledCurve, ...]] = {}
    for station_id, text in document.get("curves", {}).items():
        curve, _, offsets = text.partition("|")
        points = [pair.split(":") for pair in curve.replace(" ", "").split(",")]
        outdoor, supply = (tuple(float(pair[side]) for pair in points) for side in (0, 1))
        curves[station_id] = (FiledCurve(station_id, 0, outdoor, supply, offsets_k=tuple(float(word) for word in offsets.split())),)
    return Site(
        "case",
        ZONE,
        policy,
        CASES,
        CASES,
        hold_max_min=document.get("hold_max_min", 30.0),
        station_hold_min=document.get("station_hold_min", 5.0),
        stations={key: Station(key, **row) for keys, row in document.get("stations", {}).items() for key in several(keys)},
        buildings={key: Building(key, **row) for keys, row in document.get("buildings", {}).items() for key in several(keys)},
        rooms={key: Room(key, **row) for keys, row in document.get("rooms", {}).items() for key in several(keys)},
        curves=curves,
        exclusions=tuple(_exclusion(day, one) for one in document.get("exclusions", ())),
        planned_stops=tuple(PlannedStop(*_spanned(day, one)) for one in document.get("planned_stops", ())),
    )


def _exclusion(day: date, text: str) -> Exclusion:
    """``"R1 08:00..+3 08:00 reason"``, or ``"R1 08:00..open reason"`` until further notice."""
    span, is_open, reason = text.partition("..open")
    if not is_open:
        return Exclusion(*_spanned(day, text))
    room_id, start = span.split(" ", 1)
    return Exclusion(room_id, instant_ms(day, start), None, reason.strip())


def _spanned(day: date, text: str) -> tuple[str, int, int, str]:
    """``"R1 08:00..+3 08:00 reason"``."""
    subject, rest = text.split(" ", 1)
    start, _, rest = rest.partition("..")
    words = rest.split(" ")
    count = 2 if words[0][0] in "+-" else 1
    return subject, instant_ms(day, start), instant_ms(day, " ".join(words[:count])), " ".join(words[count:])
