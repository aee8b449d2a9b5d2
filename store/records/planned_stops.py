"""Planned stops registered while everything runs, beside those of the site's folder (R4)."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from domain.site import PlannedStop, Site
from store.records.tables import planned_stops as table


@dataclass(frozen=True)
class Registered:
    """A planned stop of the records. Instants in UTC ms; ``cancelled_at`` is when it was called off, in part where it had begun."""

    id: int
    station_id: str
    from_at: int
    to_at: int
    reason: str
    who: str
    registered_at: int
    cancelled_at: int | None
    cancelled_by: str | None
    changes: int

    @property
    def stop(self) -> PlannedStop | None:
        """What is left of it: up to where it was called off; None where it had not begun then."""
        to_ms = self.to_at if self.cancelled_at is None else min(self.to_at, self.cancelled_at)
        return PlannedStop(self.station_id, self.from_at, to_ms, self.reason, self.who, self.id) if to_ms > self.from_at else None


def registered_stops(connection: Connection) -> list[Registered]:
    """All that were ever registered, in order of their begin."""
    columns = [table.c[name] for name in Registered.__dataclass_fields__]
    return [Registered(*row) for row in connection.execute(select(*columns).order_by(table.c.from_at, table.c.id))]


def stops_version(connection: Connection) -> tuple[int, int]:
    """Changes with every stop registered, shortened or called off."""
    row = connection.execute(select(func.count(), func.coalesce(func.sum(table.c.changes), 0))).one()
    return int(row[0]), int(row[1])


def with_registered(site: Site, registered: list[Registered]) -> Site:
    """The site with the stops of its folder and the registered ones; of one begin the registered one counts."""
    found = {(stop.station_id, stop.from_ms): stop for stop in site.planned_stops}
    for one in registered:
        found.pop((one.station_id, one.from_at), None)
        if one.stop is not None:
            found[one.station_id, one.from_at] = one.stop
    return replace(site, planned_stops=tuple(sorted(found.values(), key=lambda stop: (stop.from_ms, stop.station_id))))
