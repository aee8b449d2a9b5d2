"""What instruments said: the newest reading of points, and readings over a span; in columns."""

from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query, Response
from pydantic import Field

from dashboard.api.answers import ProblemError
from dashboard.api.asked import Asking, Plain, Reader
from dashboard.api.shapes import answers
from dashboard.facts.town import Town

router = APIRouter()

READINGS_MOST: Final = 200_000
POINTS_MOST: Final = 200
STRETCHES_MOST: Final = 20_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

Instant = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]


class LatestAsked(Asking):
    """The newest readings of some points, or of all."""

    point: list[Plain] = Field([], max_length=POINTS_MOST, description="Names; without any, all points.")


class ReadingsAsked(Asking):
    """Readings of points over a span."""

    point: list[Plain] = Field(min_length=1, max_length=POINTS_MOST)
    from_: Instant = Field("", alias="from", description="Default: a day before `to`.")
    to: Instant = Field("", description="Not included; default: now.")
    step_s: int = Field(0, ge=0, le=31_622_400, description="0: every reading; else low, mean, high and count of each so many seconds.")


@router.get("/latest", summary="The newest reading of points, in columns", responses=answers("Latest"))
def latest(call: Reader, asked: Annotated[LatestAsked, Query()]) -> Response:
    """Columns of equal length. `measured_at` is in UTC milliseconds (0: never), `value` null where there is none, `quality` 0 for good,
    1–63 suspect, from 64 on bad.
    """
    names = asked.point or call.town.point_names()
    newest = call.town.newest(names)
    value = np.where(newest.known, newest.value, np.nan)
    return call.answer({"point": names, "measured_at": newest.measured_at, "value": value, "quality": newest.quality})


@router.get(
    "/readings",
    summary="Readings of points over a span, in columns, or what they did in each step",
    responses=answers("Readings"),
)
def readings(call: Reader, asked: Annotated[ReadingsAsked, Query()]) -> Response:
    """From (default: a day before `to`) up to, not including, `to` (default: now).

    With a `step_s` of whole hours the steps begin on whole hours, the first of them at or before `from`: the history has these counted,
    and a season of a point is there in a moment.
    """
    to_ms = call.instant_ms("to", asked.to or None) or call.town.now_ms()
    from_ms = call.instant_ms("from", asked.from_ or None)
    from_ms = to_ms - DAY_MS if from_ms is None else from_ms
    if from_ms >= to_ms:
        raise ProblemError(422, "from is not before to")
    point = list(dict.fromkeys(asked.point))
    if asked.step_s:
        step_ms = asked.step_s * 1000
        return call.answer(_steps(call.town, point, from_ms if step_ms % HOUR_MS else from_ms // HOUR_MS * HOUR_MS, to_ms, step_ms))
    ids, found = call.town.readings(point, from_ms, to_ms)
    if len(found) > READINGS_MOST:
        raise ProblemError(422, "too many readings", f"{len(found)} in this span, at most {READINGS_MOST}: ask for less, or with step_s")
    names = dict(zip(ids, point, strict=True))
    columns = {"measured_at": found.measured_at, "received_at": found.received_at, "value": found.value, "quality": found.quality}
    return call.answer({"point": [names[one] for one in found.point.tolist()], **columns})


def _steps(town: Town, point: list[str], from_ms: int, to_ms: int, step_ms: int) -> dict[str, Any]:
    if (to_ms - from_ms) // step_ms * len(point) > STRETCHES_MOST:
        raise ProblemError(422, "too many steps", f"at most {STRETCHES_MOST} over all points: a longer step_s")
    ids, rollup = town.rollup(point, from_ms, to_ms, step_ms)
    names = dict(zip(ids, point, strict=True))
    columns = {"at": rollup.at, "low": rollup.low, "mean": rollup.mean, "high": rollup.high, "count": rollup.count}
    return {"point": [names[one] for one in rollup.point.tolist()], **columns}
