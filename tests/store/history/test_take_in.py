"""A readings file into every history, and out of it again by the walk that exports."""

import io
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from domain.reading import Quality, Readings
from store.history import History, take_in
from store.history.walk import walk
from store.points import PointRegistry
from store.readings_file.write import FORMS, readings_writer

START = 1_768_348_800_000  # 2026-01-14T00:00:00Z
DAY_MS = 86_400_000
NEW = ["room/甲-101/indoor_temp_c", "station/S99/secondary_flow_m3h"]


def town() -> Readings:
    """Two days of two points that no registry knows yet, some of it bad."""
    count = 2 * 144
    at = START + np.repeat(np.arange(count), 2) * 600_000 + np.tile([3, 8], count)
    value = np.round(np.sin(np.arange(2 * count)) * 20, 2)
    quality = np.where(np.arange(2 * count) % 50 == 0, Quality.STUCK, Quality.GOOD)
    return Readings.of(np.tile([0, 1], count), at, value, received_at=at + 41, quality=quality)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_goes_in_and_comes_out_of_every_history(
    history: History, registry: PointRegistry, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.settle_s = min(0.2, history.settle_s)
    monkeypatch.setattr(take_in, "PORTION", 100)
    sink = io.BytesIO()
    with readings_writer(sink, form, NEW.__getitem__, ZoneInfo("Asia/Shanghai")) as file:
        file.write(town())
    (tmp_path / "town").write_bytes(sink.getvalue())
    known = len(registry)
    told: list[str] = []
    found = take_in.TakenIn()
    for _ in range(2):  # again: nothing is there twice
        found = take_in.take_in([tmp_path / "town"], None, history, registry, START + 3 * DAY_MS, lambda what, _: told.append(what))
    assert (found.readings, found.points, found.first_ms) == (len(town()), 2, START + 3)
    assert told[0] == "checking town"
    assert told[-1] in {"importing", "waiting until the history has it on its disk"}
    assert [registry.name(known), registry.name(known + 1)] == NEW
    portions = [portion.readings for portion in walk(history.read, range(len(registry)), history.days(), 0, 2**62, at_once=9_000)]
    out = Readings.concat(portions)
    order = np.lexsort((town().measured_at, town().point, town().measured_at // DAY_MS))
    expected = town().take(order)
    assert out.point.tolist() == (expected.point + known).tolist()
    for column in ("measured_at", "received_at", "value", "quality"):
        assert getattr(out, column).tolist() == getattr(expected, column).tolist(), column
    assert history.rollup([known, known + 1], START, START + 2 * DAY_MS, DAY_MS).count.sum() == len(expected.usable())
