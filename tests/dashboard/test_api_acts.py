"""What other systems do over the API, as people do on the pages: by scope, on what they read (If-Match), stored and audited."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from dashboard.accounts import wall_ms
from dashboard.api.keys import SCOPES, make_key
from store.records.tables import alarm_transitions, audit, complaint_deeds, notice_transitions, out_of_service, planned_stops
from tests.dashboard.conftest import Server, problem
from tests.dashboard.sample_town import COLD_BUILDING, NOW_MS, OVERDUE, STOPPED, TOO_WARM

HOUR_MS = 3_600_000
DUE, PUBLISHED, CLOSED = 1, 3, 2  # the sample's notices
WORDS = {"measures_zh": "更换阀门 <b>", "measures_en": "the valve is replaced"}


@pytest.fixture(scope="module")
def desk(server: Server) -> Iterator[httpx.Client]:
    """A key that may do everything."""
    with server.api(*SCOPES) as api:
        yield api


def at(hours: float) -> str:
    return datetime.fromtimestamp((NOW_MS + hours * HOUR_MS) / 1000, UTC).isoformat()


def seen(api: httpx.Client, path: str) -> dict[str, str]:
    """The header that says what was read."""
    return {"If-Match": api.get(path).headers["etag"]}


def done(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def audited(server: Server, action: str, subject: str) -> list[str]:
    with server.records.connect() as connection:
        mine = (audit.c.action == action) & (audit.c.subject == subject) & audit.c.refused.is_(False)
        return [str(who) for who in connection.execute(select(audit.c.who).where(mine)).scalars()]


@pytest.mark.parametrize("act", ["publish", "edit", "amend", "close"])
def test_who_does_not_say_what_he_read_changes_no_notice(desk: httpx.Client, act: str) -> None:
    body = {"closing": "correction", "why": "x"} if act == "close" else None if act == "publish" else WORDS
    path, before = f"notices/{DUE}/{act}", desk.get(f"notices/{DUE}").json()
    assert "If-Match" in problem(desk.post(path, json=body), 428)
    assert "meanwhile" in problem(desk.post(path, json=body, headers={"If-Match": '"of another day"'}), 412)
    problem(desk.post(f"notices/999/{act}", json=body, headers={"If-Match": "*"}), 404)
    assert desk.get(f"notices/{DUE}").json() == before


@pytest.mark.parametrize("path", [f"notices/{DUE}/edit", f"notices/{DUE}/amend", "outages/1/notice"])
def test_what_is_no_time_is_told_before_what_was_read_is_looked_at(desk: httpx.Client, path: str) -> None:
    for read in ({}, {"If-Match": '"of another day"'}, {"If-Match": "*"}):
        assert "expected_at" in problem(desk.post(path, json={"expected_at": "tomorrow"}, headers=read), 422)


def test_a_notice_is_edited_published_amended_and_closed(server: Server, desk: httpx.Client) -> None:
    one = f"notices/{DUE}"
    first = seen(desk, one)
    edited = done(desk.post(f"{one}/edit", json=WORDS, headers=first))
    assert (edited["state"], edited["version"]) == ("due", 2)
    assert "更换阀门 <b>" in edited["text_zh"]
    problem(desk.post(f"{one}/publish", headers=first), 412)  # the words are others by now
    assert "already" in problem(desk.post(f"{one}/edit", json=WORDS, headers=seen(desk, one)), 409)
    published = desk.post(f"{one}/publish", headers=seen(desk, one))
    assert done(published)["state"] == "published"
    assert published.headers["etag"] == seen(desk, one)["If-Match"]
    problem(desk.post(f"{one}/publish", headers=seen(desk, one)), 409)
    problem(desk.post(f"{one}/edit", json={}, headers=seen(desk, one)), 409)
    expected = WORDS | {"expected_at": at(4), "why": "the part is here"}
    amended = done(desk.post(f"{one}/amend", json=expected, headers=seen(desk, one)))
    assert (amended["state"], amended["said"]["measures_en"]) == ("amended", "the valve is replaced")
    assert "within 60 days" in problem(desk.post(f"{one}/amend", json={"expected_at": at(-1)}, headers=seen(desk, one)), 409)
    problem(desk.post(f"{one}/close", json={"closing": "planned_over", "why": "x"}, headers=seen(desk, one)), 409)
    problem(desk.post(f"{one}/close", json={"closing": "restored"}, headers=seen(desk, one)), 422)
    closed = done(desk.post(f"{one}/close", json={"closing": "restored", "why": "heat is back"}, headers=seen(desk, one)))
    assert (closed["state"], closed["closing"]) == ("closed", "restored")
    with server.records.connect() as connection:
        mine = select(notice_transitions.c.to_state, notice_transitions.c.who).where(notice_transitions.c.notice_id == DUE)
        steps = connection.execute(mine.order_by(notice_transitions.c.id)).all()
    assert [step.to_state for step in steps] == ["due", "due", "published", "amended", "closed"]
    assert all(step.who.startswith("api:system-") for step in steps[1:])
    for action in ("edit_notice", "publish_notice", "amend_notice", "close_notice"):
        assert len(audited(server, action, f"notice/{DUE}")) == 1


def test_a_notice_is_withdrawn(desk: httpx.Client) -> None:
    one = f"notices/{PUBLISHED}"
    closed = done(desk.post(f"{one}/close", json={"closing": "correction", "why": "another station"}, headers=seen(desk, one)))
    assert (closed["state"], closed["closing"]) == ("closed", "correction")
    problem(desk.post(f"notices/{CLOSED}/close", json={"closing": "correction", "why": "x"}, headers={"If-Match": "*"}), 409)


def test_the_notice_of_an_open_outage_is_prepared(server: Server, desk: httpx.Client) -> None:
    open_one = next(row for row in desk.get("outages", params={"station": STOPPED}).json()["items"] if row["state"] == "open")
    one = f"outages/{open_one['id']}"
    problem(desk.post(f"{one}/notice", json=WORDS), 428)
    before = seen(desk, one)
    assert done(desk.post(f"{one}/notice", json=WORDS, headers=before))["said"] == WORDS
    problem(desk.post(f"{one}/notice", json={}, headers=before), 412)
    told = next(row["id"] for row in desk.get("outages", params={"station": OVERDUE}).json()["items"])
    assert "already" in problem(desk.post(f"outages/{told}/notice", json=WORDS, headers={"If-Match": "*"}), 409)
    assert len(audited(server, "prepare_notice", f"outage/{open_one['id']}")) == 1


def test_alarms_are_acknowledged_commented_shelved_and_taken_out_of_service(server: Server, desk: httpx.Client) -> None:
    waiting = [row["id"] for row in desk.get("alarms", params={"state": "unacknowledged"}).json()["items"]][:3]
    assert done(desk.post("acknowledgements", json={"alarms": waiting[:2], "comment": "seen"})) == {"acknowledged": 2}
    assert done(desk.post("acknowledgements", json={"alarms": [*waiting[:2], 10**9]})) == {"acknowledged": 0}
    problem(desk.post("acknowledgements", json={"alarms": []}), 422)
    one = f"alarms/{waiting[2]}"
    before = seen(desk, one)
    assert done(desk.post(f"{one}/comments", json={"comment": "<i>"}, headers=before))["comment"] == "<i>"
    problem(desk.post(f"{one}/comments", json={"comment": "late"}, headers=before), 412)
    assert "24 hours" in problem(desk.post(f"{one}/shelve", json={"reason": "x", "until": at(30)}), 409)
    assert "no time" in problem(desk.post(f"{one}/shelve", json={"reason": "x", "until": "tomorrow"}), 422)
    assert done(desk.post(f"{one}/shelve", json={"reason": "works", "until": at(5)}))["shelved_reason"] == "works"
    problem(desk.post(f"{one}/shelve", json={"reason": "works", "until": at(5)}), 409)
    assert done(desk.post(f"{one}/unshelve"))["shelved_until"] is None
    problem(desk.post(f"{one}/unshelve"), 409)
    taken = done(desk.post(f"{one}/out-of-service", json={"reason": "rebuilt"}), 201)
    problem(desk.post(f"{one}/out-of-service", json={"reason": "rebuilt"}), 409)
    assert [row["id"] for row in desk.get("out-of-service").json()["items"]] == [taken["id"]]
    assert done(desk.post(f"out-of-service/{taken['id']}/return")) == {"id": taken["id"]}
    problem(desk.post(f"out-of-service/{taken['id']}/return"), 409)
    assert desk.get("out-of-service").json()["items"] == []
    with server.records.connect() as connection:
        mine = select(alarm_transitions.c.to_state).where(alarm_transitions.c.alarm_id == waiting[2]).order_by(alarm_transitions.c.id)
        assert connection.execute(mine).scalars().all()[-3:] == ["unacknowledged", "shelved", "unacknowledged"]
        assert connection.execute(select(out_of_service.c.returned_by)).scalar_one().startswith("api:system-")


def test_a_planned_stop_is_registered_once_shortened_and_called_off(server: Server, desk: httpx.Client) -> None:
    new = {"station_id": "S02", "from": at(30), "to": at(42), "reason": "换泵 <b>"}
    stop = done(desk.post("planned-stops", json=new), 201)
    assert (stop["reason"], stop["cancelled_at"], datetime.fromisoformat(stop["from_at"])) == (
        new["reason"], None, datetime.fromisoformat(new["from"]),
    )  # fmt: skip
    assert done(desk.post("planned-stops", json=new), 201)["id"] == stop["id"]
    assert "begins at this very instant" in problem(desk.post("planned-stops", json=new | {"to": at(43)}), 409)
    with server.api("stops") as other:  # the same words of another system are another registration
        problem(other.post("planned-stops", json=new), 409)
        problem(other.get("planned-stops"), 403)
    for wrong, status in (({"from": at(-1)}, 409), ({"to": at(29)}, 409), ({"station_id": "S99"}, 404), ({"to": "never"}, 422)):
        problem(desk.post("planned-stops", json=new | wrong), status)
    one = f"planned-stops/{stop['id']}"
    before = seen(desk, one)
    shorter = done(desk.post(f"{one}/shorten", json={"to": at(40)}, headers=before))
    assert datetime.fromisoformat(shorter["to_at"]) == datetime.fromisoformat(at(40))
    problem(desk.post(f"{one}/shorten", json={"to": at(39)}, headers=before), 412)
    problem(desk.post(f"{one}/shorten", json={"to": at(41)}), 409)
    assert done(desk.post(f"{one}/call-off"))["cancelled_by"].startswith("api:system-")
    problem(desk.post(f"{one}/call-off"), 409)
    problem(desk.post("planned-stops/999/call-off"), 404)
    assert [row["id"] for row in desk.get("planned-stops", params={"station": "S02"}).json()["items"]] == [stop["id"]]
    assert desk.get("planned-stops", params={"station": "S01"}).json()["items"] == []
    with server.records.connect() as connection:
        assert len(connection.execute(select(planned_stops.c.id)).all()) == 1


def test_a_complaint_is_given_tied_merged_and_called_back(server: Server, desk: httpx.Client) -> None:
    def opened(number: str) -> str:
        new = {"subject": f"room/{COLD_BUILDING}-203", "category": "low_temperature", "source": "app", "external_id": number}
        return f"complaints/{done(desk.post('complaints', json=new), 201)['id']}"

    one, other = opened("acts-1"), opened("acts-2")
    taken = done(desk.post(f"{one}/transitions", json={"from_state": "new", "to_state": "accepted", "assignee": "李师傅"}), 201)
    assert taken["assignee"] == "李师傅"
    assert "meanwhile" in problem(desk.post(f"{one}/assignments", json={"from_assignee": "", "assignee": "王师傅"}), 409)
    given = desk.post(f"{one}/assignments", json={"from_assignee": "李师傅", "assignee": "王师傅", "why": "shift"}, headers=seen(desk, one))
    assert done(given, 201)["assignee"] == "王师傅"
    assert "other stations" in problem(desk.post(f"{one}/outage", json={"outage_id": 1}), 409)
    problem(desk.post(f"{one}/outage", json={"outage_id": 999}), 409)
    problem(desk.post(f"{one}/deeds", json={"deed": "sung"}), 422)
    done(desk.post(f"{one}/deeds", json={"deed": "contacted", "why": "by phone"}), 201)
    merged = done(desk.post(f"{other}/merge", json={"from_state": "new", "into_id": int(one.split("/")[1]), "why": "same home"}), 201)
    assert (merged["state"], merged["merged_into"]) == ("merged", int(one.split("/")[1]))
    problem(desk.post(f"{one}/call-backs", json={"from_state": "accepted", "satisfied": True}), 409)
    for before, after in (("accepted", "dispatched"), ("dispatched", "on_site"), ("on_site", "resolved")):
        body = {"from_state": before, "to_state": after, "cause": "air_lock" if after == "resolved" else ""}
        assert done(desk.post(f"{one}/transitions", json=body), 201)["state"] == after
    assert done(desk.post(f"{one}/call-backs", json={"from_state": "resolved", "satisfied": None}), 201)["state"] == "resolved"
    back = done(desk.post(f"{one}/call-backs", json={"from_state": "resolved", "satisfied": True, "why": "warm"}), 201)
    assert (back["state"], back["cause"]) == ("called_back", "air_lock")
    problem(desk.post(f"{one}/transitions", json={"from_state": "called_back", "to_state": "closed"}, headers={"If-Match": '"x"'}), 412)
    with server.records.connect() as connection:
        mine = complaint_deeds.c.complaint_id == int(one.split("/")[1])
        kinds = connection.execute(select(complaint_deeds.c.kind).where(mine).order_by(complaint_deeds.c.id)).scalars().all()
    assert kinds == ["assigned", "assigned", "contacted", "attached", "found", "call_back", "call_back"]


def test_a_key_of_a_district_acts_there_alone(server: Server, desk: httpx.Client) -> None:
    token = make_key(server.records, "east acts", SCOPES, "test", wall_ms(), ["一区"])
    far = next(row["id"] for row in desk.get("alarms", params={"limit": 1000}).json()["items"] if row["station_id"] == "S08")
    near = next(row["id"] for row in desk.get("alarms", params={"station": "S05", "state": "unacknowledged"}).json()["items"])
    stop = {"from": at(50), "to": at(60), "reason": "x"}
    whatever = {"If-Match": "*"}
    with httpx.Client(base_url=desk.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=30.0) as east:
        registered = {row["station_id"] for row in east.get("planned-stops").json()["items"]}
        assert registered <= {f"S0{number}" for number in range(1, 7)}
        for path, body in (
            (f"alarms/{far}/comments", {"comment": "x"}),
            (f"alarms/{far}/shelve", {"reason": "x", "until": at(1)}),
            (f"alarms/{far}/out-of-service", {"reason": "x"}),
            (f"notices/{PUBLISHED}/amend", WORDS),
            (f"notices/{DUE}/close", {"closing": "correction", "why": "x"}),
            ("outages/2/notice", WORDS),
            ("planned-stops", stop | {"station_id": TOO_WARM}),
        ):
            problem(east.post(path, json=body, headers=whatever), 404)
        assert "districts" in problem(east.post("acknowledgements", json={"alarms": [far]}), 409)
        assert "districts" in problem(east.post("acknowledgements", json={"alarms": [near, far]}), 409)
        assert done(east.post("acknowledgements", json={"alarms": [near]})) == {"acknowledged": 1}
        theirs = done(desk.post("planned-stops", json=stop | {"station_id": TOO_WARM}), 201)["id"]
        own = done(east.post("planned-stops", json=stop | {"station_id": "S05"}), 201)["id"]
        assert {row["station_id"] for row in east.get("planned-stops").json()["items"]} == registered | {"S05"}
        problem(east.get(f"planned-stops/{theirs}"), 404)
        for path in (f"planned-stops/{theirs}/call-off", f"planned-stops/{theirs}/shorten"):
            problem(east.post(path, json={"to": at(55)}), 404)
        assert done(east.post(f"planned-stops/{own}/call-off"))["id"] == own
