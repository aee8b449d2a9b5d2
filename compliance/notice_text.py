"""What a notice (停热通告) says: the site's templates filled in, Chinese first, English beside it (R5).

outage or planned stop ─┐
what a dispatcher said ─┼─▶ parts (area, places, measures, …) ─▶ title, text
the site's templates ───┘
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from compliance.outage import Outage, SourceOutage
from domain.notice_texts import CLOSINGS
from domain.site import Building, PlannedStop, Site

PARTS: Final = ("area", "places", "households", "earliest", "measures", "expected", "remark", "hotline")
PLANNED_PARTS: Final = ("area", "places", "households", "preparation", "remark", "hotline")


@dataclass(frozen=True)
class Said:
    """What a dispatcher says for a notice; empty where nothing was said. English words left out are the Chinese ones.

    ``cause_zh`` replaces what was found; ``expected_at`` is when heat is expected back, in UTC ms.
    """

    cause_zh: str = ""
    cause_en: str = ""
    measures_zh: str = ""
    measures_en: str = ""
    remark_zh: str = ""
    remark_en: str = ""
    expected_at: int | None = None

    @classmethod
    def of(cls, kept: Mapping[str, Any] | None) -> "Said":
        """As the records keep it."""
        return cls(**{name: value for name, value in (kept or {}).items() if name in cls.__dataclass_fields__})

    def kept(self) -> dict[str, Any]:
        """What the records keep: only what was said."""
        return {name: value for name, value in asdict(self).items() if value not in ("", None)}

    def both(self, name: str) -> tuple[str, str]:
        """Chinese and English of ``cause``, ``measures`` or ``remark``."""
        zh, en = getattr(self, f"{name}_zh"), getattr(self, f"{name}_en")
        return zh, en or zh


@dataclass(frozen=True)
class Facts:
    """What a notice of an outage rests on; where one of these changes it is amended (R4). Instants in UTC ms."""

    stations: tuple[str, ...]
    started_at: int
    started_earliest: int
    cause: str

    @classmethod
    def of_outage(cls, outage: Outage | SourceOutage, cause: str) -> "Facts":
        """The facts of an outage as it is known."""
        parts = outage.parts if isinstance(outage, SourceOutage) else (outage,)
        return cls(tuple(sorted({part.station_id for part in parts})), outage.started_at, outage.started_earliest, cause)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Facts":
        """As the records keep them."""
        return cls(**{**kept, "stations": tuple(kept["stations"])})

    def kept(self) -> dict[str, Any]:
        """What the records keep."""
        return {**asdict(self), "stations": list(self.stations)}


def outage_texts(site: Site, facts: Facts, said: Said) -> dict[str, Any]:
    """Title and text of an outage's notice in both languages, the stations and the number of households, as the records keep them."""
    zh, en, counted = _words(site, facts.stations, said)
    zh["start"], en["start"] = _dates(site, facts.started_at)
    zh["earliest"], en["earliest"] = _dates(site, facts.started_earliest) if facts.started_earliest < facts.started_at else ("", "")
    zh["expected"], en["expected"] = ("", "") if said.expected_at is None else _dates(site, said.expected_at)
    cause = facts.cause if f"cause.{facts.cause}.zh" in site.notice_texts.templates else "unknown"
    return counted | _written(site, "outage", PARTS, zh, en, cause)


def planned_texts(site: Site, stop: PlannedStop, said: Said) -> dict[str, Any]:
    """As ``outage_texts``, of a planned stop: from when to when, and why."""
    zh, en, counted = _words(site, [stop.station_id], said)
    for name, at in (("start", stop.from_ms), ("end", stop.to_ms)):
        zh[name], en[name] = _dates(site, at)
    zh["cause"], en["cause"] = zh["cause"] or stop.reason, en["cause"] or stop.reason
    return counted | _written(site, "planned", PLANNED_PARTS, zh, en, "planned")


def reworded(site: Site, subject: str, facts: Mapping[str, Any], said: Said) -> dict[str, Any]:
    """The words of a notice that rests on these facts, as the records keep them, with what is said now."""
    if "from_ms" in facts:
        return planned_texts(site, PlannedStop(subject.removeprefix("station/"), **facts), said)
    return outage_texts(site, Facts.of(facts), said)


def closing_texts(site: Site, closing: str, at_ms: int) -> dict[str, str]:
    """What users are told when a notice ends, as the records keep it; ``closing`` is one of CLOSINGS."""
    zh, en = _dates(site, at_ms)
    said_zh, said_en = site.notice_texts.said(closing, "text", {"time": zh}, {"time": en})
    return {"closing": closing, "closing_zh": said_zh, "closing_en": said_en}


def closing_word(site: Site, closing: str) -> tuple[str, str]:
    """The word of an end, in Chinese and English, such as 恢复供热."""
    return site.notice_texts.said(closing if closing in CLOSINGS else "restored", "word", {}, {})


def _words(site: Site, station_ids: Sequence[str], said: Said) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
    """What every text names, in Chinese and in English, and what the records keep beside them."""
    buildings = [building for building in site.buildings.values() if building.station_id in station_ids]
    households = sum(building.households or 0 for building in buildings)
    stations = [site.stations[one] for one in station_ids if one in site.stations]
    names = [site.stations[one].name or one if one in site.stations else one for one in station_ids]
    areas = list(dict.fromkeys(station.district for station in stations if station.district))
    both = {"site": site.name, "households": str(households or ""), "hotline": site.hotline}
    zh = {"stations": "、".join(names), "area": "、".join(areas), "places": _places(buildings, "、"), **both}
    en = {"stations": ", ".join(names), "area": ", ".join(areas), "places": _places(buildings, ", "), **both}
    for name in ("cause", "measures", "remark"):
        zh[name], en[name] = said.both(name)
    return zh, en, {"stations": list(station_ids), "households": households}


def _written(site: Site, table: str, parts: Sequence[str], zh: dict[str, str], en: dict[str, str], cause: str) -> dict[str, str]:
    """The parts put into words, then title and text."""
    texts = site.notice_texts
    if not zh["cause"]:
        zh["cause"], en["cause"] = texts.said(f"cause.{cause}", "", {}, {})
    filled = {"measures" if name == "preparation" else name: texts.part(name, zh, en) for name in parts}
    zh |= {name: pair[0] for name, pair in filled.items()}
    en |= {name: pair[1] for name, pair in filled.items()}
    title, text = texts.said(table, "title", zh, en), texts.said(table, "text", zh, en)
    # An English part that is left out leaves its two spaces behind.
    return {"title_zh": title[0], "title_en": title[1], "text_zh": text[0].strip(), "text_en": re.sub(" {2,}", " ", text[1]).strip()}


def _dates(site: Site, at_ms: int) -> tuple[str, str]:
    """An instant in local time, in Chinese and in English."""
    moment = datetime.fromtimestamp(at_ms / 1000, site.timezone)
    return f"{moment:%Y}年{moment.month}月{moment.day}日{moment:%H:%M}", f"{moment:%H:%M on %d %B %Y}"


def _places(buildings: Iterable[Building], separator: str) -> str:
    """Streets with their buildings, at building level and no finer."""
    by_street: dict[str, list[str]] = {}
    for building in buildings:
        by_street.setdefault(building.street, []).append(building.name or building.building_id)
    return separator.join(_street(street, names, separator) for street, names in by_street.items())


def _street(street: str, names: Sequence[str], separator: str) -> str:
    listed = separator.join(names)
    return f"{street}（{listed}）" if street and separator == "、" else f"{street} ({listed})" if street else listed
