"""How good the alarm system itself is, by the targets of ISA-18.2 (clause 16): pure functions over the records' alarms.

alarms (raised, acknowledged, cleared) ─▶ flood, stale, standing, chattering, rate ─▶ each figure beside its target
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
FLOOD_WITHIN_MS = 10 * MINUTE_MS
FLOOD_ABOVE = 10  # more new alarms than this within ten minutes begin a flood (R3)
FLOOD_BELOW = 5  # fewer than this end it
STALE_AFTER_MS = DAY_MS  # raised for longer on end
CHATTERING_TIMES = 3
CHATTERING_WITHIN_MS = DAY_MS  # the standard's minute is that of a chemical plant: a room takes 90 min to raise and clear its alarm
BAD_ACTORS = 10

# ISA-18.2-2016, table of performance targets, for one operator.
PER_HOUR_MOST = 6.0
FLOOD_SHARE_MOST = 0.01
STALE_MOST = 5
BAD_ACTORS_SHARE_MOST = 0.05


@dataclass(frozen=True)
class AlarmSpan:
    """One alarm: what it is of, when it was raised, and when it was over (None: not yet). Instants in UTC ms."""

    kind: str
    subject: str
    raised_at: int
    cleared_at: int | None = None


@dataclass(frozen=True)
class Flood:
    """A time of more new alarms than anybody can read; ``to_ms`` is None while it lasts. ``alarms`` were raised in it."""

    from_ms: int
    to_ms: int | None
    alarms: int


@dataclass(frozen=True)
class Figure:
    """A figure and the target it is held to (at most that much); None where there is nothing to count."""

    name: str
    value: float | None
    most: float

    @property
    def kept(self) -> bool:
        """Whether the target is kept; nothing to count keeps it."""
        return self.value is None or self.value <= self.most


def floods(raised_at: Iterable[int], now_ms: int) -> list[Flood]:
    """The floods among alarms raised at these instants, as known at ``now_ms``: more than 10 within 10 min until fewer than 5.

    An alarm counts from its instant for ten minutes, the end not included.
    """
    found: list[Flood] = []
    recent: deque[int] = deque()
    since: int | None = None
    count = 0

    def expire(until_ms: int) -> None:
        nonlocal since
        while recent and recent[0] + FLOOD_WITHIN_MS <= until_ms:
            gone = recent.popleft() + FLOOD_WITHIN_MS
            while recent and recent[0] + FLOOD_WITHIN_MS == gone:
                recent.popleft()
            if since is not None and len(recent) < FLOOD_BELOW:
                found.append(Flood(since, gone, count))
                since = None

    for at in sorted(one for one in raised_at if one <= now_ms):
        expire(at)
        recent.append(at)
        if since is None and len(recent) > FLOOD_ABOVE:
            since, count = at, len(recent)
        elif since is not None:
            count += 1
    expire(now_ms)
    return found if since is None else [*found, Flood(since, None, count)]


def standing(alarms: Iterable[AlarmSpan], now_ms: int) -> list[AlarmSpan]:
    """The alarms that are raised at ``now_ms``, the oldest first."""
    here = [one for one in alarms if one.raised_at <= now_ms and (one.cleared_at is None or one.cleared_at > now_ms)]
    return sorted(here, key=lambda one: one.raised_at)


def stale(alarms: Iterable[AlarmSpan], now_ms: int) -> list[AlarmSpan]:
    """The alarms that have been standing for more than 24 h at ``now_ms``."""
    return [one for one in standing(alarms, now_ms) if now_ms - one.raised_at > STALE_AFTER_MS]


def chattering(alarms: Iterable[AlarmSpan]) -> dict[tuple[str, str], int]:
    """The alarms (kind, subject) that were raised three times or more within 24 h, with the most times within any 24 h."""
    instants: dict[tuple[str, str], list[int]] = {}
    for one in alarms:
        instants.setdefault((one.kind, one.subject), []).append(one.raised_at)
    most = {}
    for key, raised in instants.items():
        raised.sort()
        low = 0
        best = 0
        for high, at in enumerate(raised):
            while at - raised[low] >= CHATTERING_WITHIN_MS:
                low += 1
            best = max(best, high - low + 1)
        if best >= CHATTERING_TIMES:
            most[key] = best
    return most


def bad_actors(alarms: Iterable[AlarmSpan], most: int = BAD_ACTORS) -> list[tuple[tuple[str, str], int]]:
    """The alarms (kind, subject) that were raised most often, with how often."""
    return Counter((one.kind, one.subject) for one in alarms).most_common(most)


def figures(alarms: Sequence[AlarmSpan], from_ms: int, to_ms: int) -> list[Figure]:
    """The figures of [from_ms, to_ms) beside the standard's targets. ``alarms`` are those raised or standing in it."""
    inside = [one for one in alarms if from_ms <= one.raised_at < to_ms]
    length_ms = to_ms - from_ms
    flooded_ms = sum(
        min(flood.to_ms or to_ms, to_ms) - max(flood.from_ms, from_ms) for flood in floods((one.raised_at for one in inside), to_ms)
    )
    worst = sum(times for _, times in bad_actors(inside))
    return [
        Figure("alarms per hour", len(inside) * HOUR_MS / length_ms if length_ms > 0 else None, PER_HOUR_MOST),
        Figure("share of time in flood", flooded_ms / length_ms if length_ms > 0 else None, FLOOD_SHARE_MOST),
        Figure("share of the ten most frequent alarms", worst / len(inside) if inside else None, BAD_ACTORS_SHARE_MOST),
        Figure("stale alarms", len(stale(alarms, to_ms)), STALE_MOST),
        Figure("chattering alarms", len(chattering(inside)), 0),
    ]
