"""Finding a home while somebody is on the phone: by street, building, flat or number, typed in any order, as far as it is known.

「城南3号楼2单元502」 ─▶ 城南 · 3 · 2 · 502 ─▶ a room with a sensor, else the building; the rest is kept as the address
"""

import re
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from dashboard.facts.subjects import Subject, building_name, room_name, subject
from dashboard.facts.town import Town
from store.records.tables import complaints

MOST: Final = 8
TOKEN: Final = re.compile(r"\d+|[a-z]+|[^\W\d_a-z]+")
CLASSIFIERS: Final = frozenset({"号", "楼", "号楼", "栋", "幢", "单元", "室", "户", "层", "门", "bldg", "building", "no"})
PHONE_DIGITS: Final = 7  # from so many on, digits may be the number somebody called from before


@dataclass(frozen=True)
class Place:
    """A home or building found. ``rest`` is what was typed beyond it: the flat of a building without a sensor there."""

    subject: Subject
    street: str
    rest: str = ""


class Places:
    """Every building and room of a site by what people call it. 100 000 rooms are searched in some hundredths of a second."""

    def __init__(self, town: Town) -> None:
        site = town.site
        self._town = town
        self._subjects = [f"building/{one}" for one in site.buildings]
        texts = [f"{building_name(one)} {one.street} {one.building_id}" for one in site.buildings.values()]
        self._streets = [one.street for one in site.buildings.values()]
        self._buildings = len(texts)
        for room in site.rooms.values():
            building = site.buildings.get(room.building_id or "")
            street = building.street if building else ""
            self._subjects.append(f"room/{room.room_id}")
            self._streets.append(street)
            texts.append(f"{room_name(town, room)} {street} {room.room_id}")
        self._texts = pa.array([text.lower() for text in texts], pa.string())
        self._lengths = [len(text) for text in texts]

    def find(self, typed: str, most: int = MOST) -> list[Place]:
        """The places that fit, buildings first. Where no room fits all of it, the building that fits as much as possible."""
        text = typed.strip().lower()[:100]
        tokens = [match for match in TOKEN.finditer(text) if match.group() not in CLASSIFIERS]
        for kept in range(len(tokens), 0, -1):
            rows = self._rows([match.group() for match in tokens[:kept]])
            if kept < len(tokens):
                rows = [row for row in rows if row < self._buildings]
            if rows:
                rest = _rest(typed.strip()[:100], tokens[kept - 1].end()) if kept < len(tokens) else ""
                return [Place(subject(self._town, self._subjects[row]), self._streets[row], rest) for row in rows[:most]]
        return []

    def _rows(self, tokens: list[str]) -> list[int]:
        fits = None
        for place, token in enumerate(tokens):
            if token.isdecimal():  # 3 is not 13, and not 31 unless it is still being typed
                end = "" if place == len(tokens) - 1 else "([^0-9]|$)"
                one = pc.match_substring_regex(self._texts, f"(^|[^0-9]){token}{end}")
            else:
                one = pc.match_substring(self._texts, token)
            fits = one if fits is None else pc.and_(fits, one)
        rows: list[int] = [] if fits is None else pc.indices_nonzero(fits).to_pylist()
        exact = re.compile(rf"(?:^|\D){tokens[-1]}(?:\D|$)") if tokens[-1].isdecimal() else None
        inexact = {row: exact is not None and not exact.search(str(self._texts[row])) for row in rows}
        return sorted(rows, key=lambda row: (inexact[row], row >= self._buildings, self._lengths[row], row))


def _rest(text: str, end: int) -> str:
    """What follows the part that was found, without the word that belongs to it (号楼)."""
    return re.sub(r"^\s*(?:号楼|号|楼|栋|幢)?[\s,，]*", "", text[end:])


def places(town: Town) -> Places:
    """The places of this town, built once."""
    return town.shared.of("places", lambda: Places(town), life_s=float("inf"))


def find_places(town: Town, typed: str) -> list[Place]:
    """The places that fit what was typed; digits of a telephone number find where it called from before."""
    digits = re.sub(r"[\s-]", "", typed)
    if digits.isascii() and digits.isdecimal() and len(digits) >= PHONE_DIGITS:
        called = called_from(town, digits)
        if called:
            return called
    return places(town).find(typed)


def called_from(town: Town, digits: str) -> list[Place]:
    """Where complaints with this number came from, the latest first."""
    columns = complaints.c
    query = select(columns.subject, columns.address).where(columns.contact == digits).order_by(columns.id.desc()).limit(50)
    found = dict.fromkeys(town.rows(query))
    return [Place(subject(town, name), "", address) for name, address in list(found)[:MOST]]
