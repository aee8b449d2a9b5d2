"""How the alarms themselves do: floods, and the figures of ISA-18.2 over days (docs/rules.md says what each counts)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, or_, select

from compliance.alarm_figures import (
    FLOOD_BELOW,
    FLOOD_WITHIN_MS,
    AlarmSpan,
    Figure,
    Flood,
    bad_actors,
    chattering,
    figures,
    floods,
    stale,
)
from dashboard.facts.town import Town
from dashboard.moments import DAY_MS, HOUR_MS
from store.records.tables import alarms

LIFE_S = 20.0
MOST = 10
BARS = 48
_RAISED = select(alarms.c.raised_at).where(alarms.c.raised_at > bindparam("after_ms", type_=BigInteger), alarms.c.suppressed_by.is_(None))


@dataclass(frozen=True)
class Often:
    """An alarm (kind, subject) and how often it was raised."""

    kind: str
    subject: str
    times: int


@dataclass(frozen=True)
class AlarmSystem:
    """The alarms of [from_ms, to_ms) by the standard. ``bars`` count those raised in equal parts of it."""

    from_ms: int
    to_ms: int
    raised: int
    figures: Sequence[Figure]
    bars: Sequence[int]
    floods: Sequence[Flood]
    chattering: Sequence[Often]
    frequent: Sequence[Often]
    stale: Sequence[AlarmSpan]


def flood_now(town: Town) -> Flood | None:
    """The flood that goes on at this moment (R3); None where there is none."""
    return town.shared.of("flood_now", lambda: _flood_now(town))


def _flood_now(town: Town) -> Flood | None:
    now_ms = town.now_ms()
    raised = town.of_records("raised_lately", lambda: _raised(town, now_ms - FLOOD_WITHIN_MS))
    lately = [at for at in raised if at > now_ms - FLOOD_WITHIN_MS]
    if len(lately) < FLOOD_BELOW:
        return None  # whatever was before, it is over
    # Read anew before anything that was raised since then is older than what is read now.
    before = town.shared.of("flood_before", lambda: _flood_before(town, now_ms), life_s=LIFE_S, mark=now_ms // FLOOD_WITHIN_MS)
    found = floods([*(at for at in before if at <= now_ms - FLOOD_WITHIN_MS), *lately], now_ms)
    return found[-1] if found and found[-1].to_ms is None else None


def _flood_before(town: Town, now_ms: int) -> list[int]:
    """The alarms of the last day that decide when a flood of now began, and what counts to it."""
    raised = _raised(town, now_ms - DAY_MS)
    found = floods(raised, now_ms)
    since_ms = found[-1].from_ms if found and found[-1].to_ms is None else now_ms
    return [at for at in raised if at > since_ms - FLOOD_WITHIN_MS]


def _raised(town: Town, after_ms: int) -> list[int]:
    """When the alarms that people were shown were raised, later than this."""
    return [at for (at,) in town.rows(_RAISED, after_ms=after_ms)]


def alarm_system(town: Town, days: int) -> AlarmSystem:
    """The figures of the last so many days. What was suppressed by design when it was raised was shown to nobody, and does not count."""
    return town.shared.of(("alarm_system", days), lambda: _alarm_system(town, days), life_s=LIFE_S)


def _alarm_system(town: Town, days: int) -> AlarmSystem:
    to_ms = town.now_ms()
    from_ms = to_ms - days * DAY_MS
    here = or_(alarms.c.raised_at >= from_ms, alarms.c.cleared_at.is_(None), alarms.c.cleared_at >= from_ms)
    columns = [alarms.c[name] for name in AlarmSpan.__dataclass_fields__]
    spans = [AlarmSpan(*row) for row in town.rows(select(*columns).where(here, alarms.c.suppressed_by.is_(None)))]
    inside = [span for span in spans if from_ms <= span.raised_at < to_ms]
    most = sorted(chattering(inside).items(), key=lambda one: -one[1])[:MOST]
    return AlarmSystem(
        from_ms=from_ms,
        to_ms=to_ms,
        raised=len(inside),
        figures=figures(spans, from_ms, to_ms),
        bars=_bars([span.raised_at for span in inside], from_ms, to_ms),
        floods=floods((span.raised_at for span in inside), to_ms)[-MOST:][::-1],
        chattering=[Often(kind, subject, times) for (kind, subject), times in most],
        frequent=[Often(kind, subject, times) for (kind, subject), times in bad_actors(inside)],
        stale=stale(spans, to_ms)[:MOST],
    )


def _bars(raised_at: Sequence[int], from_ms: int, to_ms: int) -> list[int]:
    """How many were raised in each of the parts of the span, none shorter than half an hour."""
    width = max(HOUR_MS // 2, (to_ms - from_ms) // BARS)
    bars = [0] * (-(-(to_ms - from_ms) // width))
    for at in raised_at:
        bars[(at - from_ms) // width] += 1
    return bars
