"""The words of a notice (停热通告): Chinese first, English beside it (R5)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from compliance.outage import Outage, SourceOutage
from domain.site import Building, Site

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


def notice_texts(site: Site, outage: Outage | SourceOutage, cause: str) -> dict[str, Any]:
    """Title and text in both languages, the stations, and the number of households, as the records keep them."""
    parts = outage.parts if isinstance(outage, SourceOutage) else (outage,)
    station_ids = sorted({part.station_id for part in parts})
    buildings = [building for building in site.buildings.values() if building.station_id in station_ids]
    households = sum(building.households or 0 for building in buildings)
    start = datetime.fromtimestamp(outage.started_at / 1000, site.timezone)
    names = [site.stations[one].name or one if one in site.stations else one for one in station_ids]
    cause_zh, cause_en = CAUSES.get(cause, CAUSES["unknown"])
    zh = {
        "stations": "、".join(names),
        "start": f"{start:%Y}年{start.month}月{start.day}日{start:%H:%M}",
        "places": _places(buildings, "、") or "相关楼栋",
        "households": households,
        "cause": cause_zh,
        "hotline": f"服务热线：{site.hotline}。" if site.hotline else "",
    }
    en = {
        **zh,
        "stations": ", ".join(names),
        "start": f"{start:%H:%M on %d %B %Y}",
        "places": _places(buildings, ", ") or "the buildings it feeds",
        "cause": cause_en,
        "hotline": f"Hotline: {site.hotline}." if site.hotline else "",
    }
    return {
        "stations": station_ids,
        "households": households,
        "title_zh": _TITLE_ZH.format(**zh),
        "title_en": _TITLE_EN.format(**en),
        "text_zh": _TEXT_ZH.format(**zh),
        "text_en": _TEXT_EN.format(**en).strip(),
    }


def _places(buildings: Iterable[Building], separator: str) -> str:
    """Streets with their buildings, at building level and no finer."""
    by_street: dict[str, list[str]] = {}
    for building in buildings:
        by_street.setdefault(building.street, []).append(building.name or building.building_id)
    return separator.join(_street(street, names, separator) for street, names in by_street.items())


def _street(street: str, names: Sequence[str], separator: str) -> str:
    listed = separator.join(names)
    return f"{street}（{listed}）" if street and separator == "、" else f"{street} ({listed})" if street else listed
