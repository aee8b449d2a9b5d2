"""``/metrics`` as Prometheus reads it, and what the wall says of how readings are kept."""

import json
import re

import pytest
from prometheus_client.core import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, insert, select, text

from dashboard.facts.keeping import Keeping, keeping
from dashboard.facts.town import Town
from dashboard.healthz import components
from dashboard.metrics import MEANINGS, STANDING, Standing
from store.health import write_health
from store.records import tables
from tests.dashboard.conftest import ROOT, Server, until
from tests.dashboard.sample_town import NOW_MS

DETAIL = {
    "autonomy_h": 310.5,
    "full_in_h": None,
    "waiting": 42,
    "lost": 0,
    "refused": False,
    "failing_since_ms": None,
    "error": "",
    "history": "parquet",
}


def test_every_number_of_every_component_is_a_metric(server: Server) -> None:
    data = server.town.site.data
    write_health(data, "forward", NOW_MS, DETAIL)
    write_health(data, "collect", NOW_MS, {"readings_committed": 1234, "sources": [{"name": "S01-PLC", "polls": 7}]})
    with server.stranger() as client:
        client.headers["Authorization"] = f"Bearer {server.key('metrics')}"
        answer = until(lambda: found if "310.5" in (found := client.get("/metrics")).text else None)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    values = {name: family.samples[0].value for name, family in families.items()}
    assert values["keepwarm_forward_autonomy_h"] == 310.5
    assert values["keepwarm_forward_waiting"] == 42
    assert values["keepwarm_forward_refused"] == 0
    assert values["keepwarm_collect_readings_committed"] == 1234
    assert "keepwarm_forward_full_in_h" not in families  # there while it is few
    assert families["keepwarm_forward_autonomy_h"].documentation.startswith("Hours for which everything behind the journal may stay down")
    ages = {sample.labels["component"]: sample.value for sample in families["keepwarm_component_age_seconds"].samples}
    assert ages.keys() >= {"forward", "collect", "watch"}
    assert all(0 <= age < 120 for age in ages.values())
    assert not any(word in answer.text for word in ("S01-PLC", "parquet", str(data)))  # open to all: numbers only


def test_a_health_file_that_is_broken_costs_its_own_metrics_only(server: Server) -> None:
    data = server.town.site.data
    write_health(data, "forward", NOW_MS, {**DETAIL, "waiting": 43, "odd name-1": 5})
    (data / "health" / "broken.json").write_text("{")
    with server.stranger() as client:
        client.headers["Authorization"] = f"Bearer {server.key('metrics')}"
        answer = until(lambda: found if "keepwarm_forward_waiting 43" in (found := client.get("/metrics")).text else None)
    assert answer.status_code == 200
    assert "keepwarm_forward_odd_name_1 5.0" in answer.text
    (data / "health" / "broken.json").unlink()


def standing(town: Town) -> dict[str, float]:
    """What Prometheus reads of what stands open, by the names behind ``keepwarm_``."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Standing(town))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {family.name.removeprefix("keepwarm_"): family.samples[0].value for family in families}


def test_what_stands_open_is_counted_as_the_records_have_it(town: Town) -> None:
    found = standing(town)
    assert found.keys() == {*STANDING, "records_up"}
    alarms, outages, complaints, notices = (table.c for table in (tables.alarms, tables.outages, tables.complaints, tables.notices))
    with town.records.connect() as connection:
        expected = {
            "alarms_open": connection.scalar(select(func.count()).where(alarms.cleared_at.is_(None))),
            "outages_open": connection.scalar(select(func.count()).where(outages.state == "open", outages.parent_id.is_(None))),
            "complaints_open": connection.scalar(
                select(func.count()).where(complaints.state.not_in(["closed", "rejected", "merged"])),
            ),
            "notices_due": connection.scalar(select(func.count()).where(notices.state == "due")),
            "deliveries_waiting": connection.scalar(select(func.count()).where(tables.deliveries.c.state == "waiting")),
        }
    assert {name: found[name] for name in expected} == expected
    assert min(found["alarms_open"], found["outages_open"], found["complaints_open"], found["complaints_overdue"]) > 0
    assert found["complaints_overdue"] <= found["complaints_open"]
    assert found["alarms_unacknowledged"] > 0
    assert 0 <= found["judged_age_seconds"] < 120
    assert found["records_up"] == 1


def test_a_notice_nobody_confirms_and_a_message_nobody_takes_are_told(town: Town) -> None:
    before = standing(town)
    due_at = NOW_MS - round((town.site.review_min + 1) * 60_000)
    notice = {"planned_stop": "S02@1", "subject": "station/S02", "state": "due", "due_at": due_at}
    message = {"key": "k1", "channel": "desk", "title": "t", "text": "x", "made_at": NOW_MS, "state": "waiting", "next_at": NOW_MS}
    with town.records.begin() as connection:
        connection.execute(insert(tables.notices).values(notice))
        connection.execute(insert(tables.notices).values({**notice, "planned_stop": "S02@2", "due_at": NOW_MS}))
        connection.execute(insert(tables.deliveries), [message, {**message, "key": "k2", "state": "sent"}])
    town.shared.forget()
    after = standing(town)
    grown = {name: after[name] - before[name] for name in STANDING if name != "judged_age_seconds" and after[name] != before[name]}
    assert grown == {"notices_due": 2, "notices_overdue": 1, "deliveries_waiting": 1}


def test_what_can_not_be_known_is_left_out_and_said(town: Town) -> None:
    with town.records.begin() as connection:
        connection.execute(text("ALTER TABLE deliveries RENAME TO gone"))
    try:
        town.shared.forget()
        found = standing(town)
    finally:
        with town.records.begin() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO deliveries"))
    assert found["records_up"] == 0
    assert found.keys() == {*STANDING, "records_up"} - {"deliveries_waiting"}


def test_each_metric_to_alarm_on_is_one_that_there_is(server: Server) -> None:
    """The table of docs/operations.md names none that nobody gives."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`keepwarm_([a-z_]+)`", page))
    known = {*STANDING, *MEANINGS, "component_age_seconds", "records_up"}
    assert named <= known
    assert set(STANDING) <= named
    with server.stranger() as client:
        client.headers["Authorization"] = f"Bearer {server.key('metrics')}"
        answer = client.get("/metrics").text
    told = {family.name: family for family in text_string_to_metric_families(answer)}
    for name, (meaning, _) in STANDING.items():
        assert (told[f"keepwarm_{name}"].type, told[f"keepwarm_{name}"].documentation) == ("gauge", meaning)


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (DETAIL, Keeping(autonomy_h=310.5, waiting=42, history="parquet")),
        ({**DETAIL, "autonomy_h": None}, Keeping(waiting=42, history="parquet")),
        (
            {**DETAIL, "full_in_h": 3.25, "failing_since_ms": NOW_MS - 60_000, "refused": True, "lost": 7},
            Keeping(310.5, 3.25, NOW_MS - 60_000, refused=True, waiting=42, lost=7, history="parquet"),
        ),
        ({}, Keeping()),
    ],
)
def test_what_the_forwarder_says_is_what_the_page_knows(town: Town, detail: dict[str, object], expected: Keeping) -> None:
    write_health(town.site.data, "forward", NOW_MS, detail)
    town.shared.forget()
    assert keeping(town) == expected


def test_before_the_forwarder_ever_spoke_the_page_says_nothing(town: Town) -> None:
    (town.site.data / "health" / "forward.json").unlink()
    town.shared.forget()
    assert keeping(town) is None
    (town.site.data / "health" / "forward.json").write_text(json.dumps({"component": "forward"}))
    town.shared.forget()
    assert keeping(town) is None


def test_of_several_nodes_each_has_its_label(server: Server) -> None:
    data = server.town.site.data
    for number in (1, 2):
        write_health(data, f"watch-{number}-of-2", NOW_MS, {"passes": 10 * number})
    with server.stranger() as client:
        client.headers["Authorization"] = f"Bearer {server.key('metrics')}"
        answer = until(lambda: found if 'node="2-of-2"' in (found := client.get("/metrics")).text else None)
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    passes = {sample.labels["node"]: sample.value for sample in families["keepwarm_watch_passes"].samples if "node" in sample.labels}
    assert passes == {"1-of-2": 10, "2-of-2": 20}
    for number in (1, 2):
        (data / "health" / f"watch-{number}-of-2.json").unlink()


def test_a_node_that_never_spoke_is_missed(town: Town) -> None:
    write_health(town.site.data, "collect-1-of-3", NOW_MS, {})
    write_health(town.site.data, "collect-3-of-3", NOW_MS, {})
    found = {component.name: component.fresh for component in components(town) if component.name.startswith("collect-")}
    assert found == {"collect-1-of-3": True, "collect-2-of-3": False, "collect-3-of-3": True}
