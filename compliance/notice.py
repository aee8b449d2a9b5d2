"""When an outage warns the dispatcher and when it owes its users a notice (R5).

started_earliest ──4 h──▶ warning ──6 h──▶ warning ──7 h──▶ warning ──8 h──▶ notice due
All wait out a tentative supply; what has passed when the outage opens is dropped, an overdue notice is due at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from compliance.outage import Outage, SourceOutage

HOUR_MS = 3_600_000
# With publish = "review" a dispatcher confirms within minutes; then others are told (``compliance.escalation``).
REVIEW_DUTY = "notice_review"
REVIEW = ("停热通告待确认发布", "outage notice to be confirmed and published")


@dataclass(frozen=True)
class Duty:
    """The outage duties of the policy in force: hours after which to warn and to give notice."""

    notice_after_h: float = 8.0
    warn_after_h: tuple[float, ...] = (4.0, 6.0, 7.0)


@dataclass(frozen=True)
class Mark:
    """An instant (UTC ms) at which a warning goes out, ``hours`` after the start, or the notice falls due (``due``)."""

    at: int
    hours: float
    due: bool = False


def duty_marks(outage: Outage | SourceOutage, duty: Duty, until_ms: int) -> list[Mark]:
    """Every warning and the notice of this outage with an instant not after ``until_ms``, in order of time.

    The first warning, ``hours`` 0, is the outage's detection.
    """
    parts = outage.parts if isinstance(outage, SourceOutage) else (outage,)
    marks = [Mark(outage.opened_at, 0.0)]
    for hours in duty.warn_after_h:
        at = _reached(outage, parts, hours)
        if at >= outage.opened_at:
            marks.append(Mark(_not_tentative(parts, at), hours))
    due_at = max(_reached(outage, parts, duty.notice_after_h), outage.opened_at)
    marks.append(Mark(_not_tentative(parts, due_at), duty.notice_after_h, due=True))
    end_ms = until_ms if outage.ended_seen_at is None else min(until_ms, outage.ended_seen_at - (not _ended_by_season(outage)))
    return sorted((mark for mark in marks if mark.at <= end_ms), key=lambda mark: (mark.at, mark.hours))


def _ended_by_season(outage: Outage | SourceOutage) -> bool:
    """Whether the season's end ended it: then a duration that is full at that very instant has been reached."""
    parts = outage.parts if isinstance(outage, SourceOutage) else (outage,)
    return any(part.season_ended and part.ended_seen_at == outage.ended_seen_at for part in parts)


def _reached(outage: Outage | SourceOutage, parts: Sequence[Outage], hours: float) -> int:
    """When the time since the earliest start, as far as it was known then, reached ``hours``.

    A station that follows an outage of its source may have stopped earlier than those before it.
    """
    joins = sorted({max(part.opened_at, outage.opened_at) for part in parts})
    at = 0
    for index, joined_at in enumerate(joins):
        earliest = min(part.started_earliest for part in parts if part.opened_at <= joined_at)
        reached = earliest + round(hours * HOUR_MS)
        at = reached if index == 0 else max(reached, joined_at)
        if index + 1 == len(joins) or at < joins[index + 1]:
            break
    return at


def _not_tentative(parts: Sequence[Outage], at: int) -> int:
    """The first instant from ``at`` on at which not all open parts are tentatively supplying.

    A supply that begins at this very instant does not count: the duration was full before it (rules: preamble).
    """
    while True:
        ends = []
        for part in parts:
            if not part.open_at(at):
                continue
            end = next((stop for start, stop in part.supplies if start < at < stop), None)
            if end is None:
                return at
            ends.append(end)
        if not ends:
            return at
        at = min([*ends, *(part.opened_at for part in parts if part.opened_at > at)])
