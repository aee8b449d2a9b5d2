"""The words of a notice (停热通告): Chinese first, English beside it (R5)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from compliance.outage import Outage, SourceOutage
from domain.site import Building, PlannedStop, Site

CAUSES = {
    "power_loss": ("供电中断", "loss of power"),
    "pipe_burst": ("管网泄漏", "a burst pipe"),
    "pump_trip": ("循环泵故障停机", "a tripped circulation pump"),
    "source_loss": ("热源中断", "loss of the heat source"),
    "valve_shut": ("一次网阀门关闭", "a primary valve found shut"),
    "unknown": ("正在查明", "being investigated"),
}

_TITLE_ZH = "停热通告：{stations}"
_TITLE_EN = "Heating outage notice: {stations}"
_TEXT_ZH = (
    "{stations}自{start}起停止供热，涉及{places}，约{households}户。原因：{cause}。抢修人员已在处理，"
    "恢复供热时间另行通告。由此带来的不便敬请谅解。{hotline}"
)
_TEXT_EN = (
    "{stations} has not delivered heat since {start}; affected: {places}, about {households} households. Cause: {cause}. "
    "Repair is under way; we will announce when heat is expected back. We apologise for the inconvenience. {hotline}"
)

_PLANNED_TITLE_ZH = "计划停热通告：{stations}"
_PLANNED_TITLE_EN = "Planned heating stop: {stations}"
_PLANNED_ZH = "{stations}计划于{start}至{end}停止供热，涉及{places}，约{households}户。原因：{cause}。请提前做好准备。{hotline}"
_PLANNED_EN = (
    "{stations} will not deliver heat from {start} to {end}; affected: {places}, about {households} households. Reason: {cause}. {hotline}"
)


def planned_texts(site: Site, stop: PlannedStop) -> dict[str, Any]:
    """As ``notice_texts``, of a planned stop: from when to when, and why."""
    zh, en, counted = _words(site, [stop.station_id])
    for words, write in ((zh, _date_zh), (en, _date_en)):
        words["start"], words["end"] = (write(datetime.fromtimestamp(at / 1000, site.timezone)) for at in (stop.from_ms, stop.to_ms))
    zh["cause"], en["cause"] = stop.reason or "设备检修", stop.reason or "maintenance"
    return counted | _written(zh, en, (_PLANNED_TITLE_ZH, _PLANNED_TITLE_EN), (_PLANNED_ZH, _PLANNED_EN))


def notice_texts(site: Site, outage: Outage | SourceOutage, cause: str) -> dict[str, Any]:
    """Title and text in both languages, the stations, and the number of households, as the records keep them."""
    parts = outage.parts if isinstance(outage, SourceOutage) else (outage,)
    zh, en, counted = _words(site, sorted({part.station_id for part in parts}))
    start = datetime.fromtimestamp(outage.started_at / 1000, site.timezone)
    zh["start"], en["start"] = _date_zh(start), _date_en(start)
    zh["cause"], en["cause"] = CAUSES.get(cause, CAUSES["unknown"])
    return counted | _written(zh, en, (_TITLE_ZH, _TITLE_EN), (_TEXT_ZH, _TEXT_EN))


def _words(site: Site, station_ids: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What every text names, in Chinese and in English, and what the records keep beside them."""
    buildings = [building for building in site.buildings.values() if building.station_id in station_ids]
    households = sum(building.households or 0 for building in buildings)
    names = [site.stations[one].name or one if one in site.stations else one for one in station_ids]
    zh = {
        "stations": "、".join(names),
        "places": _places(buildings, "、") or "相关楼栋",
        "households": households,
        "hotline": f"服务热线：{site.hotline}。" if site.hotline else "",
    }
    en = {
        "stations": ", ".join(names),
        "places": _places(buildings, ", ") or "the buildings it feeds",
        "households": households,
        "hotline": f"Hotline: {site.hotline}." if site.hotline else "",
    }
    return zh, en, {"stations": list(station_ids), "households": households}


def _written(zh: dict[str, Any], en: dict[str, Any], titles: tuple[str, str], texts: tuple[str, str]) -> dict[str, str]:
    return {
        "title_zh": titles[0].format(**zh),
        "title_en": titles[1].format(**en),
        "text_zh": texts[0].format(**zh),
        "text_en": texts[1].format(**en).strip(),
    }


def _date_zh(moment: datetime) -> str:
    return f"{moment:%Y}年{moment.month}月{moment.day}日{moment:%H:%M}"


def _date_en(moment: datetime) -> str:
    return f"{moment:%H:%M on %d %B %Y}"


def _places(buildings: Iterable[Building], separator: str) -> str:
    """Streets with their buildings, at building level and no finer."""
    by_street: dict[str, list[str]] = {}
    for building in buildings:
        by_street.setdefault(building.street, []).append(building.name or building.building_id)
    return separator.join(_street(street, names, separator) for street, names in by_street.items())


def _street(street: str, names: Sequence[str], separator: str) -> str:
    listed = separator.join(names)
    return f"{street}（{listed}）" if street and separator == "、" else f"{street} ({listed})" if street else listed
