"""The cards of stations: each as a value that holds all it shows, and its HTML, rendered only when that is another.

What passes with every moment, the age of the newest reading, is put in beside.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from markupsafe import Markup, escape

from dashboard.facts.rooms import Counts
from dashboard.facts.sparks import Spark
from dashboard.facts.stations import FLOW, RETURN, SUPPLY, StationState
from dashboard.facts.values import Shown
from dashboard.markup import templates
from dashboard.moments import Moments

KEPT: Final = 1_024  # 2 kB each
_AGE: Final = "\x00"  # where the age stands in what is kept


@dataclass(frozen=True)
class CardValue:
    """A value as a card shows it; ``age`` is empty where it is not ``stale``."""

    text: str
    unit: str
    stale: bool
    bad: bool
    age: str

    @classmethod
    def of(cls, shown: Shown, moments: Moments, now_ms: int) -> "CardValue":
        """As it stands now."""
        age = moments.age(shown.measured_at, now_ms) if shown.stale else ""
        return cls(shown.text, "" if shown.value is None else shown.unit, shown.stale, shown.bad, age)


@dataclass(frozen=True)
class Card:
    """All that the card of a station shows but the age of its newest reading."""

    station_id: str
    name: str
    heat: str
    planned: bool
    comm: str
    data: str
    target_c: float | None
    off_target_k: float | None
    rooms: Counts
    supply: CardValue
    back: CardValue
    flow: CardValue
    spark: Spark | None

    @classmethod
    def of(cls, state: StationState, spark: Spark | None, moments: Moments, now_ms: int) -> "Card":
        """As the station stands now."""
        supply, back, flow = (CardValue.of(state.values[name], moments, now_ms) for name in (SUPPLY, RETURN, FLOW))
        return cls(
            state.station.station_id,
            state.name,
            state.heat,
            state.planned,
            state.comm,
            state.data,
            state.target_c,
            state.off_target_k,
            state.rooms,
            supply,
            back,
            flow,
            spark,
        )


def cards(states: Sequence[StationState], sparks: Mapping[str, Spark], moments: Moments, now_ms: int) -> Iterator[Markup]:
    """The cards' HTML, in the order of the stations, in the language of ``moments``."""
    for state in states:
        card = Card.of(state, sparks.get(state.station.station_id), moments, now_ms)
        before, after = _html(card, moments.say.language)
        yield Markup(before + escape(moments.age(state.newest_at, now_ms)) + after)  # noqa: S704 - a template's own output


@lru_cache(maxsize=KEPT)
def _html(card: Card, language: str) -> tuple[Markup, Markup]:
    """A card's HTML before and behind the age."""
    before, _, after = templates(language).get_template("station_card.html").render(card=card, age=_AGE).rpartition(_AGE)
    return Markup(before), Markup(after)  # noqa: S704 - a template's own output
