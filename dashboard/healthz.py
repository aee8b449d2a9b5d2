"""``/healthz``: every component of the site and the age of its last work."""

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse

from dashboard.accounts import wall_ms
from dashboard.facts.town import Town
from domain.clock import iso
from domain.errors import StoreError
from domain.site import Share
from store.health import node_of, read_health

EXPECTED = ("collect", "forward", "watch")  # without these nothing is true any more
STALE_S = 60.0


@dataclass(frozen=True)
class Component:
    """One process: ``age_s`` is in life's seconds, None when it never spoke."""

    name: str
    age_s: float | None

    @property
    def fresh(self) -> bool:
        """Whether it worked lately."""
        return self.age_s is not None and self.age_s <= STALE_S


def components(town: Town) -> list[Component]:
    """All components that ever spoke, and those that should have."""
    now_ms = wall_ms()
    spoken = {health.component: max(0.0, (now_ms - health.wall_at_ms) / 1000) for health in read_health(town.site.data)}
    names = sorted({*spoken, *(name for expected in EXPECTED for name in _nodes(expected, spoken))} - {"dashboard"})
    return [Component("dashboard", 0.0), *(Component(name, spoken.get(name)) for name in names)]


def _nodes(component: str, spoken: Iterable[str]) -> list[str]:
    """The names under which a component must speak: once, or once for each node that the site is dealt out to."""
    counts = {int(node.partition("-of-")[2]) for name, node in map(node_of, spoken) if name == component and node}
    return [f"{component}{Share(number, max(counts)).mark}" for number in range(1, max(counts) + 1)] if counts else [component]


class Healthz:
    """Answers 200 when all is fresh, else 503 with what is stale. Open to all: no name, no reading, no path is in it."""

    def __init__(self, town: Town) -> None:
        self.town = town

    def answer(self, _: Request) -> JSONResponse:
        """The state of the whole site."""
        found = self.town.shared.of("healthz", lambda: components(self.town))
        stale = [component.name for component in found if not component.fresh]
        try:
            judged_at = self.town.live().judged_at_ms
        except StoreError:
            judged_at, stale = None, [*stale, "live"]
        now_ms = self.town.now_ms()
        body = {
            "status": "stale" if stale else "ok",
            "stale": stale,
            "at": iso(now_ms, self.town.site.timezone),
            "speed": self.town.clock.speed,
            "judged_age_s": None if judged_at is None else round((now_ms - judged_at) / 1000, 1),
            "components": {
                component.name: {"age_s": None if component.age_s is None else round(component.age_s, 1), "fresh": component.fresh}
                for component in found
            },
        }
        return JSONResponse(body, 503 if stale else 200)
