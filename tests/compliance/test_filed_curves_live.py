"""A curve filed while ``watch`` runs is what the station is held to from its instant on, before and after a restart."""

from pathlib import Path

import numpy as np
from sqlalchemy import select

from compliance.watch import Watch
from domain.curve import FiledCurve
from domain.reading import Readings
from store.history import open_history
from store.journal import open_journal
from store.points import PointRegistry
from store.records import open_records
from store.records.filed_curves import file_curve
from store.records.tables import alarms
from store.site_folder import load_site

MINUTE_MS = 60_000
START_MS = 1_768_359_600_000  # in season
VALUES = {"secondary_flow_m3h": 80.0, "secondary_supply_temp_c": 60.0, "secondary_return_temp_c": 44.0, "outdoor_temp_c": -8.0}


def test_a_curve_filed_meanwhile_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('name = "t"\n', encoding="utf-8")
    (tmp_path / "stations.csv").write_text("station_id,design_flow_m3h\nS1,100\n", encoding="utf-8")
    (tmp_path / "curves.csv").write_text(
        "station_id,effective_from,outdoor_c,supply_c\nS1,2025-11-01,-20,60\nS1,2025-11-01,0,60\n", encoding="utf-8"
    )
    site = load_site(tmp_path)
    points = PointRegistry(site.data / "points.db")
    ids = points.ids([f"station/S1/{name}" for name in VALUES])
    journal, records = open_journal(site), open_records(site.data / "records.db")
    history = open_history(site, points)

    def said(minute: int) -> None:
        at = START_MS + minute * MINUTE_MS
        journal.append(Readings.of(list(ids), [at] * len(VALUES), list(VALUES.values())))

    def watched() -> Watch:
        return Watch(site, journal, history, points, records, START_MS)

    watch = watched()
    for minute in range(20):
        said(minute)
        watch.step(START_MS + minute * MINUTE_MS)
        if minute == 5:
            with records.begin() as connection:
                file_curve(connection, FiledCurve("S1", START_MS + 10 * MINUTE_MS, (-20.0, 0.0), (66.0, 66.0), "gao", "test"), START_MS)
    state = watch.stations.stations["S1"]
    assert state.target_c(START_MS + 9 * MINUTE_MS) == 60.0
    assert state.target_c(START_MS + 19 * MINUTE_MS) == 66.0
    watch.snapshot()
    watch = watched()
    for minute in range(20, 45):
        said(minute)
        watch.step(START_MS + minute * MINUTE_MS)
    turns = watch.stations.stations["S1"].turns
    assert [(turn.event, (turn.at - START_MS) / MINUTE_MS) for turn in turns] == [("curve.off", 40.0)]
    assert np.isclose(watch.stations.stations["S1"].target_c(START_MS + 44 * MINUTE_MS), 66.0)
    with records.connect() as connection:  # the alarm says what it was judged by
        raised = connection.execute(select(alarms.c.kind, alarms.c.value, alarms.c.limit_value)).all()
    assert [tuple(row) for row in raised] == [("curve_off", VALUES["secondary_supply_temp_c"], 66.0)]
    records.dispose()
    history.close()
    journal.close()
    points.close()
