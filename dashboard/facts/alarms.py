"""The alarms, those that wait for somebody first, page by page; and how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Select, Tuple, and_, bindparam, func, not_, or_, select, tuple_

from dashboard.facts.town import Town
from store.records.tables import alarms, out_of_service

UNACKNOWLEDGED: Final = ("unacknowledged", "returned_unacknowledged")
# Why an alarm is suppressed is kept as it was when it was raised; a shelf and "out of service" end, so the present decides on these.
BY_PEOPLE: Final = ("shelved", "out_of_service")
PAGE: Final = 60
PLACES_MOST: Final = 2_000


@dataclass(frozen=True)
class AlarmRow:
    """One alarm (ISA-18.2). ``no_data_at``: since when nothing is heard of what it is about; ``shelved`` and ``out`` hold now."""

    id: int
    kind: str
    subject: str
    station_id: str | None
    building_id: str | None
    raised_at: int
    cleared_at: int | None
    cleared_reason: str | None
    no_data_at: int | None
    value: float | None
    limit_value: float | None
    state: str
    acknowledged_at: int | None
    acknowledged_by: str | None
    comment: str
    shelved_until: int | None
    suppressed_by: str | None
    shelved: bool
    out: bool

    @property
    def over(self) -> bool:
        """Whether nobody has anything left to do with it."""
        return self.state == "normal"

    @property
    def by_design(self) -> str | None:
        """What suppresses it by design, or makes its sensor suspect; None where nothing does."""
        return None if self.suppressed_by in BY_PEOPLE else self.suppressed_by


@dataclass(frozen=True)
class AlarmCounts:
    """``standing`` alarms are raised now; ``unacknowledged`` wait for somebody, cleared since or not, and nothing silences them."""

    standing: int
    unacknowledged: int
    no_data: int
    shelved: int


@dataclass(frozen=True)
class Wanted:
    """Which alarms to show. Empty fields mean all; ``only`` is open, unacknowledged, shelved or all; ``text`` is part of a name."""

    only: str = "open"
    kind: str = ""
    station_id: str = ""
    text: str = ""
    page: int = 1


def shelved_now(now_ms: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether an alarm, or one of the same kind and subject, is shelved at this instant."""
    other = alarms.alias()
    same = select(other.c.kind, other.c.subject).where(other.c.shelved_until > now_ms)
    of_others = and_(func.coalesce(alarms.c.suppressed_by, "") == "shelved", _what().in_(same))
    return or_(func.coalesce(alarms.c.shelved_until, 0) > now_ms, of_others)


def out_now() -> ColumnElement[bool]:
    """Whether the alarms of this kind and subject are out of service now."""
    out = out_of_service.c
    return _what().in_(select(out.kind, out.subject).where(out.returned_at.is_(None)))


def _what() -> Tuple:
    """What an alarm is of. What people silenced is few: it is read once for all alarms, not for each of them."""
    return tuple_(alarms.c.kind, alarms.c.subject)


def waiting(now_ms: int | BindParameter[int]) -> ColumnElement[bool]:
    """Whether an alarm asks for somebody: unacknowledged, and neither shelved, out of service nor suppressed by design."""
    suppressed = func.coalesce(alarms.c.suppressed_by, BY_PEOPLE[0]).not_in(BY_PEOPLE)
    silenced = or_(suppressed, shelved_now(now_ms), out_now())
    return and_(alarms.c.state.in_(UNACKNOWLEDGED), not_(silenced))


def _counted() -> Select[*tuple[Any, ...]]:
    """Each by the index of its own: together they would read every row that any of them is about."""
    now_ms = bindparam("now_ms", type_=BigInteger)
    standing, silent = alarms.c.cleared_at.is_(None), alarms.c.no_data_at.is_not(None)
    which = (standing, waiting(now_ms), standing & silent, alarms.c.shelved_until > now_ms)
    return select(*(select(func.count()).select_from(alarms).where(one).scalar_subquery() for one in which))


_COUNTED: Final = _counted()
_SHELF_ENDS: Final = select(alarms.c.shelved_until).where(alarms.c.shelved_until > bindparam("now_ms", type_=BigInteger))


def alarm_counts(town: Town) -> AlarmCounts:
    """How many alarms there are to look at."""
    return town.shared.of("alarm_counts", lambda: _alarm_counts(town))


def _alarm_counts(town: Town) -> AlarmCounts:
    """The hour counts only in how many shelves have not ended yet."""
    now_ms = town.now_ms()
    ends = town.of_records("shelf_ends", lambda: [until for (until,) in town.rows(_SHELF_ENDS, now_ms=now_ms)])
    shelved = sum(until > now_ms for until in ends)
    return town.of_records(("alarm_counts", shelved), lambda: AlarmCounts(*town.rows(_COUNTED, now_ms=now_ms)[0]))


def alarm_rows(town: Town, wanted: Wanted) -> Sequence[AlarmRow]:
    """One page of the alarms wanted: those that wait for somebody first, then the newest."""
    return town.shared.of(("alarms", wanted), lambda: _alarm_rows(town, wanted))


def alarms_found(town: Town, wanted: Wanted) -> int:
    """How many alarms are wanted, on all pages together."""
    return town.shared.of(("alarms_found", replace(wanted, page=1)), lambda: _alarms_found(town, wanted))


def _alarms_found(town: Town, wanted: Wanted) -> int:
    return int(town.rows(_where(town, wanted, select(func.count()).select_from(alarms)))[0][0])


def alarm_columns(now_ms: int) -> list[ColumnElement[Any]]:
    """The columns of an ``AlarmRow``, in its order."""
    stored = [name for name in AlarmRow.__dataclass_fields__ if name not in {"shelved", "out"}]
    return [*(alarms.c[name] for name in stored), shelved_now(now_ms), out_now()]


def alarm_row(columns: Sequence[Any]) -> AlarmRow:
    """An alarm from its columns; a truth may come as a number."""
    *stored, shelved, out = columns
    return AlarmRow(**dict(zip(AlarmRow.__dataclass_fields__, [*stored, bool(shelved), bool(out)], strict=True)))


def _alarm_rows(town: Town, wanted: Wanted) -> list[AlarmRow]:
    """Two lists, one behind the other, so that neither needs more of the table than what it shows."""
    asks, skipped = waiting(town.now_ms()), (max(1, wanted.page) - 1) * PAGE
    found = _newest(town, wanted, asks, skipped, PAGE)
    if len(found) == PAGE:
        return found
    if skipped and not found:
        skipped -= int(town.rows(_where(town, wanted, select(func.count()).select_from(alarms)).where(asks))[0][0])
    return [*found, *_newest(town, wanted, not_(asks), 0 if found else skipped, PAGE - len(found))]


def _newest(town: Town, wanted: Wanted, which: ColumnElement[bool], skipped: int, most: int) -> list[AlarmRow]:
    query = _where(town, wanted, select(*alarm_columns(town.now_ms()))).where(which)
    query = query.order_by(alarms.c.raised_at.desc(), alarms.c.id.desc())
    return [alarm_row(row) for row in town.rows(query.limit(most).offset(skipped))]


def _where(town: Town, wanted: Wanted, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    now_ms = town.now_ms()
    conditions: list[ColumnElement[bool]] = []
    if wanted.only == "open":
        conditions.append(or_(alarms.c.cleared_at.is_(None), alarms.c.state.in_(UNACKNOWLEDGED)))
    elif wanted.only == "unacknowledged":
        conditions.append(waiting(now_ms))
    elif wanted.only == "shelved":
        conditions.append(alarms.c.shelved_until > now_ms)
    if wanted.kind:
        conditions.append(alarms.c.kind == wanted.kind)
    if wanted.station_id:
        conditions.append(alarms.c.station_id == wanted.station_id)
    if wanted.text.strip():
        conditions.append(_named(town, wanted.text.strip()))
    return query.where(*conditions)


def _named(town: Town, text: str) -> ColumnElement[bool]:
    """Alarms of stations and buildings with this text in their name, street or id, and of subjects with it in their id."""
    low = text.casefold()
    stations = [one.station_id for one in town.site.stations.values() if low in f"{one.name} {one.station_id}".casefold()]
    buildings = [one.building_id for one in town.site.buildings.values() if low in f"{one.name} {one.street} {one.building_id}".casefold()]
    return or_(
        alarms.c.subject.contains(text, autoescape=True),
        alarms.c.station_id.in_(stations[:PLACES_MOST]),
        alarms.c.building_id.in_(buildings[:PLACES_MOST]),
    )


@dataclass(frozen=True)
class OutOfService:
    """Alarms of one kind and subject that a person took out of service until they are returned."""

    id: int
    kind: str
    subject: str
    since: int
    who: str
    reason: str


def out_of_service_rows(town: Town) -> Sequence[OutOfService]:
    """What is out of service now, the longest first."""
    columns = [out_of_service.c[name] for name in OutOfService.__dataclass_fields__]
    query = select(*columns).where(out_of_service.c.returned_at.is_(None)).order_by(out_of_service.c.since)
    return town.shared.of("out_of_service", lambda: [OutOfService(*row) for row in town.rows(query)])
