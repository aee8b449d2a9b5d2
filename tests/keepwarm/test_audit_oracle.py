"""``keepwarm audit`` against the naive reading of R1 and R2, over every form of input that the contract allows."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepwarm import main as command
from tests.keepwarm.file_forms import INSTANTS, NUMBERS, TIMES, CsvForm, Form, ParquetForm, instant
from tests.keepwarm.naive_audit import SECONDS, Asked, Home, Out, Row, naive_audit

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
POLICY = """
name = "two laws"
[[version]]
valid_from = 2027-01-01
season = "always"
[version.schedule]
residential = { "00:00-24:00" = 20.0 }
bungalow = { "22:00-04:30" = 15.0, "04:30-22:00" = 16.0 }
office = { "08:30-18:00" = 20.0, "18:00-08:30" = 12.0 }
[[version]]
valid_from = 2000-01-01
season = { from = "11-15", to = "03-15" }
[version.schedule]
residential = { "06:00-21:00" = 18.0, "21:00-06:00" = 16.0 }
bungalow = { "00:00-24:00" = 16.0 }
office = { "08:00-18:00" = 20.0, "18:00-08:00" = 12.0 }
[[version]]
valid_from = 2028-01-01
season = { from = "02-20", to = "05-30" }
[version.schedule]
residential = { "06:00-21:00" = 18.0, "21:00-06:00" = 16.0 }
bungalow = { "00:00-24:00" = 16.0 }
office = { "08:00-18:00" = 20.0, "18:00-08:00" = 12.0 }
"""
ZONES = [
    *("Asia/Shanghai", "Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"),
    *("UTC", "Pacific/Auckland", "America/Sao_Paulo"),
]
# Local times about which readings gather: limits step, season and law begin and end, clocks go forward and back, a leap day.
CORNERS = [
    *("2026-12-01T06:00", "2026-12-01T21:00", "2026-12-02T00:00", "2026-11-15T00:00", "2026-03-16T00:00", "2027-01-01T00:00"),
    *("2027-03-28T02:30", "2027-10-31T02:30", "2027-04-04T01:45", "2027-10-03T02:15", "2028-01-01T00:00", "2028-02-20T00:00"),
    *("2028-02-29T12:00", "2028-05-31T00:00", "2027-03-14T02:30", "2027-11-07T01:30", "2026-12-01T08:00", "2026-12-01T18:00"),
]
STEPS = [0, 1, -1, SECOND, MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE - 1, 30 * MINUTE, 30 * MINUTE + 1, HOUR, 8 * HOUR, 24 * HOUR]
VALUES = [
    *(11.9, 12.0, 15.0, 15.9, 15.9999999999, 16.0, 16.0000000001, 16.3, 17.0, 17.5, 17.99, 17.999999, 17.9999999999),
    *(18.0, 18.3, 19.9, 20.0, 21.25, 0.1 + 0.2, -5.0, 55.0, 1e-300, -0.0),
]
NOT_VALUES = [None, float("nan"), float("inf"), float("-inf")]
QUALITIES = ["", "", "good", "suspect", "clock", "rate", "bad", "range", "stuck", "device_error"]
ROOMS = ["S01-B03-502", "客厅", 'a "b", c', "x y"]
PREMISES = {"residential": "residential,", "": "residential,", "bungalow": "bungalow,", "contract": "contract,office"}


@dataclass(frozen=True)
class Case:
    """A question, how its files are written, and what stands in the columns that name a room's premises."""

    asked: Asked
    forms: Sequence[Form]
    premises: dict[str, str]
    with_homes: bool


@st.composite
def instants(draw: st.DrawFn, zone: str, corner: str) -> int:
    """An instant on, just before, just after, or some way off a corner."""
    at_ms = round(datetime.fromisoformat(corner).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    return (
        at_ms + draw(st.sampled_from(STEPS)) * draw(st.sampled_from([1, -1, 2])) + draw(st.sampled_from([0, 0, 0, 1, -1, 250, 90 * SECOND]))
    )


@st.composite
def rows(draw: st.DrawFn, zone: str, corner: str, rich: bool) -> list[Row]:
    """Rows in any order, doubled, bad, late, never received."""
    found = []
    for room in draw(st.lists(st.sampled_from(ROOMS), min_size=1, max_size=3, unique=True)):
        at_ms = draw(instants(zone, corner))
        for _ in range(draw(st.integers(1, 9))):
            value = draw(st.sampled_from([*VALUES, *NOT_VALUES[: 1 + 3 * rich]]))
            quality = draw(st.sampled_from(QUALITIES)) if rich else ""
            received_ms = draw(st.sampled_from([None, at_ms, at_ms + 5, at_ms - HOUR])) if rich else None
            found.append(Row(room, at_ms, value, quality, received_ms))
            at_ms += draw(st.sampled_from(STEPS))
    return draw(st.permutations(found)) if rich and draw(st.booleans()) else found


@st.composite
def csv_forms(draw: st.DrawFn, columns: Sequence[str]) -> CsvForm:
    """Any way to write a CSV file."""
    return CsvForm(
        times=draw(st.lists(st.sampled_from([*TIMES, "naive"]), min_size=1, max_size=3)),
        number=draw(st.sampled_from(sorted(NUMBERS))),
        columns=columns,
        gap=draw(st.sampled_from(["", "", "NaN", "nan", "inf", "-inf"])),
        bom=draw(st.booleans()),
        line_end=draw(st.sampled_from(["\n", "\r\n"])),
        quote_all=draw(st.booleans()),
        blank_lines=draw(st.booleans()),
        last_line_ends=draw(st.booleans()),
        gzipped=draw(st.integers(0, 5)) == 0,
    )


@st.composite
def parquet_forms(draw: st.DrawFn, columns: Sequence[str]) -> ParquetForm:
    """Any way to write a Parquet file."""
    return ParquetForm(draw(st.sampled_from(sorted(INSTANTS))), columns, draw(st.booleans()), draw(st.sampled_from([2, 1024])))


@st.composite
def homes(draw: st.DrawFn) -> tuple[list[Home], dict[str, str]]:
    """Rows of a rooms file, some rooms without readings; and what stands in premises and schedule."""
    found, premises = [], {}
    for room in draw(st.lists(st.sampled_from([*ROOMS, "empty-1", "empty-2"]), unique=True)):
        word = draw(st.sampled_from(sorted(PREMISES)))
        premises[room] = f"{word},{'office' if word == 'contract' else ''}"
        schedule = {"": "residential", "contract": "office"}.get(word, word)
        found.append(
            Home(
                room,
                draw(st.sampled_from([None, "B1", "B2"])),
                draw(st.sampled_from([None, "S1", "S2"])),
                schedule,
                draw(st.sampled_from([0.0, 0.0, -0.5, 0.3, 1.7])),
                draw(st.sampled_from([None, None, 5.0, 0.25, 90.0, 1500.0])),
            )
        )
    return found, premises


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A question about a few rooms near a corner."""
    zone, corner, rich = draw(st.sampled_from(ZONES)), draw(st.sampled_from(CORNERS)), draw(st.booleans())
    readings = draw(rows(zone, corner, rich))
    known, premises = draw(homes())
    outs = [
        Out(row.room, *((draw(instants(zone, corner)), None) if draw(st.booleans()) else (row.measured_ms, row.measured_ms + 7 * MINUTE)))
        for row in draw(st.lists(st.sampled_from(readings), max_size=2))
    ]
    start = draw(st.none() | instants(zone, corner))
    length = draw(st.none() | st.sampled_from(STEPS[3:]))
    end = None if length is None else (readings[0].measured_ms if start is None else start) + length
    more = ["quality", "received_at"] if rich else draw(st.sampled_from([[], ["quality"], ["received_at"]]))
    columns = draw(st.permutations(["point", "measured_at", "value", *more]))
    forms = draw(st.lists(csv_forms(columns) | csv_forms(columns) | parquet_forms(columns), min_size=1, max_size=3))
    asked = Asked(
        readings, known, outs, POLICY, zone, draw(st.sampled_from([30.0, 30.0, 10.0, 0.5, 45.25, 600.0])), start, end,
        draw(st.sampled_from(["room", "building", "station", "day"])),
    )  # fmt: skip
    return Case(asked, forms, premises, bool(known))


def ask(case: Case, folder: Path) -> tuple[int, Any]:
    """Writes the files, runs the command, and gives its exit code and the document, fractions of numbers kept."""
    asked, zone = case.asked, ZoneInfo(case.asked.zone)
    cuts = [len(asked.rows) * part // len(case.forms) for part in range(len(case.forms) + 1)]
    files = [form.write(folder / f"r{n}", asked.rows[cuts[n] : cuts[n + 1]], zone) for n, form in enumerate(case.forms)]
    words = ["audit", "--readings", *map(str, files), "--timezone", asked.zone, "--assume-timezone", "--by", asked.by]
    words += ["--hold-max-min", str(asked.hold_min), "--policy", str(folder / "law.toml"), "--out", str(folder / "out.json")]
    (folder / "law.toml").write_text(POLICY)
    for option, at_ms in (("--from", asked.from_ms), ("--to", asked.to_ms)):
        words += [] if at_ms is None else [option, instant(at_ms).isoformat()]
    if case.with_homes:
        with (folder / "rooms.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["room_id", "building_id", "station_id", "premises", "schedule", "offset_k", "hold_max_min"])
            writer.writerows(_home_cells(home, case.premises[home.room]) for home in asked.homes)
        words += ["--rooms", str(folder / "rooms.csv")]
    if asked.outs:
        with (folder / "outs.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["room_id", "from", "to", "reason", "who"])
            writer.writerows([out.room, _iso(out.from_ms), _iso(out.to_ms), "报停", "Li"] for out in asked.outs)
        words += ["--exclusions", str(folder / "outs.csv")]
    code = command.exit_code(words)
    return code, json.loads((folder / "out.json").read_bytes(), parse_float=Decimal) if code == 0 else None


def _iso(at_ms: int | None) -> str:
    return "" if at_ms is None else instant(at_ms).isoformat()


def _home_cells(home: Home, premises: str) -> list[object]:
    return [home.room, home.building, home.station, *premises.split(","), home.offset_k or "", home.hold_min]


def same(found: Any, wanted: Any) -> bool:
    """Whether a figure of the document is the wanted one: seconds and counts exactly, kelvins to 1e-8."""
    if isinstance(wanted, Fraction) and isinstance(found, Decimal | int):
        return abs(Fraction(found) - wanted) <= Fraction(1, 10**8)
    return bool(found == wanted)


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What a room or a sum says otherwise."""
    told = []
    for key, value in wanted.items():
        exact = key in SECONDS or key == "longest_breach_s"
        if (Fraction(found[key]) != value) if exact else not same(found[key], value):
            told.append(f"{wanted.get('room_id') or wanted.get('key')}: {key}: {found[key]} instead of {value}")
    return told + [f"{key} is new" for key in found.keys() - wanted.keys()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(case=cases())
def test_the_command_says_what_the_rules_say(case: Case) -> None:
    with TemporaryDirectory() as folder:
        code, document = ask(case, Path(folder))
    wanted = naive_audit(case.asked)
    assert code == 0
    for key in ("from", "to"):
        at = document[key]
        assert (None if at is None else round(datetime.fromisoformat(at).timestamp() * 1000)) == wanted[key], key
    told = differences(document["totals"], wanted["totals"])
    for part, name in (("rooms", "room_id"), ("groups", "key")):
        by_name = {one[name]: one for one in document.get(part, [])}
        assert set(by_name) == {one[name] for one in wanted.get(part, [])}
        assert len(by_name) == len(document.get(part, []))
        told += [line for one in wanted.get(part, []) for line in differences(by_name[one[name]], one)]
    assert told == [], case
