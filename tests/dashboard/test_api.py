"""The REST API as another system uses it, against the running dashboard."""

from datetime import datetime
from typing import cast
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from dashboard.accounts import wall_ms
from dashboard.api.app import make_api
from dashboard.api.asked import Asked
from dashboard.api.keys import list_keys, make_key, revoke_key
from dashboard.api.rate import Rate
from dashboard.facts.town import Town
from domain.clock import Clock
from store.records.tables import audit, complaints
from tests.dashboard.conftest import Server, problem
from tests.dashboard.sample_town import COLD_BUILDING, EVIL, NOW_MS, STOPPED, TOO_WARM

LISTS = ("sites", "stations", "buildings", "rooms", "alarms", "outages", "notices", "complaints")
READS = (
    *LISTS,
    "latest?point=x",
    "readings?point=x",
    "verdicts?day=2026-01-15",
    f"stations/{STOPPED}",
    f"stations/{STOPPED}/curves",
    "openapi.json",
)


@pytest.mark.parametrize("path", READS)
def test_nothing_without_a_key(server: Server, path: str) -> None:
    with server.stranger() as client:
        assert "a key is needed" in problem(client.get(f"/api/v1/{path}"), 401)
        assert client.get(f"/api/v1/{path}").headers["www-authenticate"] == "Bearer"
    with server.client("admin") as signed_in:  # a cookie is no key: no page can be made to ask for us
        problem(signed_in.get(f"/api/v1/{path}"), 401)
    with server.api("metrics") as narrow:
        assert "scope read" in problem(narrow.get(path), 403)


def test_a_revoked_key_is_none(server: Server) -> None:
    with server.api("read") as api:
        assert api.get("sites").status_code == 200
        mine = max(list_keys(server.records), key=lambda key: key.id)
        assert mine.used_at is not None
        assert revoke_key(server.records, mine.name, "test", wall_ms())
        assert not revoke_key(server.records, mine.name, "test", wall_ms())
        assert "revoked" in problem(api.get("sites"), 401)


def test_the_site_and_its_stations(server: Server) -> None:
    with server.api("read") as api:
        site = api.get("sites").json()["items"][0]
        assert (site["stations"], site["rooms"], site["timezone"]) == (12, 400, "Asia/Shanghai")
        assert datetime.fromisoformat(site["now"]).utcoffset() is not None
        first = api.get("stations", params={"limit": 5}).json()
        assert [one["station_id"] for one in first["items"]] == ["S01", "S02", "S03", "S04", "S05"]
        assert first["items"][0]["name"] == EVIL
        rest = api.get("stations", params={"limit": 50, "after": first["next"]}).json()
        assert (rest["items"][0]["station_id"], len(rest["items"]), rest["next"]) == ("S06", 7, None)
        stopped = api.get(f"stations/{STOPPED}").json()
        assert stopped["heat"] == "stopped"
        assert datetime.fromisoformat(stopped["heat_since"]).timestamp() * 1000 < NOW_MS
        problem(api.get("stations/S99"), 404)


def test_rooms_of_a_building_with_their_verdicts(server: Server) -> None:
    with server.api("read") as api:
        found = api.get("rooms", params={"building": COLD_BUILDING}).json()["items"]
        assert len(found) == 13
        assert {one["verdict"] for one in found} == {"breach", "compliant", "unknown"}
        assert {one["building_id"] for one in found} == {COLD_BUILDING}
        assert len(api.get("rooms", params={"station": "S05", "limit": 1000}).json()["items"]) > 13


def test_newest_values_in_columns(server: Server) -> None:
    points = [f"station/{TOO_WARM}/secondary_supply_temp_c", "room/nobody/indoor_temp_c"]
    with server.api("read") as api:
        found = api.get("latest", params={"point": points}).json()
        assert found["point"] == points
        assert 30 < found["value"][0] < 70
        assert 0 < NOW_MS - found["measured_at"][0] < 3_600_000
        assert (found["value"][1], found["measured_at"][1]) == (None, 0)
        everything = api.get("latest").json()
        assert {len(column) for column in everything.values()} == {len(everything["point"])}
        assert len(everything["point"]) > 600


def test_readings_and_their_steps(server: Server) -> None:
    point = f"station/{TOO_WARM}/secondary_supply_temp_c"
    span = {"from": "2026-01-15T00:00:00+08:00", "to": "2026-01-15 06:00"}
    with server.api("read") as api:
        found = api.get("readings", params={"point": point, **span}).json()
        assert len(found["value"]) == 72
        assert found["measured_at"] == sorted(found["measured_at"])
        hours = api.get("readings", params={"point": point, **span, "step_s": 3600}).json()
        assert hours["count"] == [12] * 6
        assert hours["low"][0] <= hours["mean"][0] <= hours["high"][0]
        assert hours["mean"][0] == pytest.approx(sum(found["value"][:12]) / 12)
        late = {**span, "from": "2026-01-15T00:20:00+08:00"}
        assert api.get("readings", params={"point": point, **late, "step_s": 3600}).json() == hours  # steps of hours are whole hours
        minutes = api.get("readings", params={"point": point, **late, "step_s": 1200}).json()
        assert minutes["at"][0] - hours["at"][0] == 20 * 60_000
        assert "not before" in problem(api.get("readings", params={"point": point, "from": span["to"], "to": span["from"]}), 422)
        assert "no time" in problem(api.get("readings", params={"point": point, "from": "yesterday"}), 422)
        assert "too many steps" in problem(api.get("readings", params={"point": point, "from": "2020-01-01", "step_s": 1}), 422)
        assert "point" in problem(api.get("readings"), 422)


@pytest.mark.parametrize("name", ["alarms", "outages", "notices", "complaints"])
def test_pages_of_what_was_decided(server: Server, name: str) -> None:
    with server.api("read") as api:
        every = api.get(name, params={"limit": 1000}).json()
        assert every["next"] is None
        seen, after = [], None
        while True:
            part = api.get(name, params={"limit": 2} | ({"after": after} if after else {})).json()
            seen += part["items"]
            after = part["next"]
            if after is None:
                break
        assert seen == every["items"]
        assert [one["id"] for one in seen] == sorted((one["id"] for one in seen), reverse=True)
        one = api.get(f"{name}/{seen[0]['id']}").json()
        assert seen[0].items() <= one.items()
        assert isinstance(one["transitions"], list)
        assert api.get(name, params={"state": "no such state"}).json()["items"] == []
        problem(api.get(f"{name}/999999"), 404)
        problem(api.get(f"{name}/{2**70}"), 422)
        assert "query.after" in problem(api.get(name, params={"after": "x"}), 422)
        problem(api.get(name, params={"limit": 0}), 422)


def test_verdicts_of_a_day(server: Server) -> None:
    with server.api("read") as api:
        found = api.get("verdicts", params={"day": "2026-01-15", "limit": 3}).json()
        for one in found["items"]:
            assert one["judged_ms"] == one["compliant_ms"] + one["breach_ms"] + one["unknown_ms"]
        assert "query.day" in problem(api.get("verdicts", params={"day": "15.1."}), 422)


def test_what_is_known_is_not_sent_again(server: Server) -> None:
    with server.api("read") as api:
        first = api.get(f"stations/{TOO_WARM}/curves")
        tag = first.headers["etag"]
        again = api.get(f"stations/{TOO_WARM}/curves", headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert api.get(f"stations/{TOO_WARM}/curves", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_complaint_is_taken_a_step_on_and_audited(server: Server) -> None:
    with server.api("read") as api:
        new = next(one for one in api.get("complaints", params={"state": "accepted"}).json()["items"])
        problem(api.post(f"complaints/{new['id']}/transitions", json={"from_state": "accepted", "to_state": "dispatched"}), 403)
    with server.api("complaints", "read") as api:
        path = f"complaints/{new['id']}/transitions"
        assert "does not follow" in problem(api.post(path, json={"from_state": "accepted", "to_state": "closed"}), 409)
        assert "meanwhile" in problem(api.post(path, json={"from_state": "new", "to_state": "accepted"}), 409)
        taken = api.post(path, json={"from_state": "accepted", "to_state": "dispatched", "why": "<b>"})
        assert taken.status_code == 201, taken.text
        assert taken.json()["state"] == "dispatched"
        assert (taken.json()["transitions"][-1]["to_state"], taken.json()["transitions"][-1]["why"]) == ("dispatched", "<b>")
        problem(api.post("complaints/99999/transitions", json={"from_state": "new", "to_state": "accepted"}), 404)
        assert api.post(path, content=b"x" * 100_000).status_code == 413
        problem(api.post(path, content=b"{"), 422)
    with server.records.connect() as connection:
        assert connection.execute(select(complaints.c.state).where(complaints.c.id == new["id"])).scalar() == "dispatched"
        who = connection.execute(select(audit.c.who).where(audit.c.subject == f"complaint/{new['id']}")).scalars().all()
        assert any(one.startswith("api:system-") for one in who)


def test_a_resident_complains_through_another_system(server: Server) -> None:
    new = {
        "subject": f"room/{COLD_BUILDING}-203", "category": "low_temperature", "source": "hotline_12345",
        "told": "家里冷 <b>", "external_id": "12345-1",
    }  # fmt: skip
    with server.api("complaints", "read") as api:
        opened = api.post("complaints", json=new)
        assert opened.status_code == 201, opened.text
        body = opened.json()
        assert (body["origin"], body["state"], body["reason"]) == ("resident", "new", "家里冷 <b>")
        assert body["evidence"]
        assert api.post("complaints", json=new).json()["id"] == body["id"]
        problem(api.post("complaints", json=new | {"subject": "room/nowhere", "external_id": None}), 409)
        problem(api.post("complaints", json=new | {"category": "weather", "external_id": None}), 422)
        problem(api.post("complaints", json={"subject": "x"}), 422)
    with server.api("read") as api:
        problem(api.post("complaints", json=new), 403)


def test_a_curve_is_filed(server: Server) -> None:
    new = {"effective_from": "2099-01-01T00:00:00+08:00", "outdoor_c": [-20, 0], "supply_c": [70, 46], "reason": "test"}
    with server.api("curves", "read") as api:
        path = "stations/S02/curves"
        filed = api.post(path, json=new)
        assert filed.status_code == 201, filed.text
        assert api.get(path).json()["items"][-1] == filed.json()
        assert filed.json()["filed_by"].startswith("api:system-")
        assert "already" in problem(api.post(path, json=new), 409)
        assert "later instant" in problem(api.post(path, json=new | {"effective_from": "2020-01-01"}), 409)
        assert "one length" in problem(api.post(path, json=new | {"supply_c": [70, 46, 40]}), 422)
        problem(api.post("stations/S99/curves", json=new), 404)
    with server.api("read") as api:
        problem(api.post("stations/S02/curves", json=new), 403)


@pytest.mark.parametrize("path", ["../../etc/passwd", "stations/..%2f..%2fsites", "stations/%00", "nothing", quote("stations/' OR 1=1 --")])
def test_odd_paths(server: Server, path: str) -> None:
    with server.api("read") as api:
        answer = api.get(path)
        assert answer.status_code in {401, 404}
        assert "root:" not in answer.text


def test_what_is_asked_twice_or_unknown_is_a_mistake(server: Server) -> None:
    with server.api("read") as api:
        assert "query.after: given more than once" in problem(api.get("stations?after=S01&after=S02"), 422)
        assert "query.offset" in problem(api.get("rooms?offset=3"), 422)
        assert len(api.get("latest?point=a&point=b").json()["point"]) == 2


@pytest.mark.parametrize(
    "path", ["sites", "stations/S01", "stations/S01/curves", "latest", "alarms", "alarms/1", "complaints/1/transitions"]
)
def test_other_methods_are_refused_as_problems(server: Server, path: str) -> None:
    with server.api("read") as api:
        for method in ("PUT", "DELETE", "PATCH"):
            answer = api.request(method, path)
            problem(answer, 405)
            assert answer.headers["allow"] in {"GET", "POST"}


def test_too_much_is_refused_as_a_problem_whether_it_says_so_or_not(server: Server) -> None:
    with server.api("complaints") as api:
        problem(api.post("complaints", content=b"x" * 70_000), 413)
        assert "65536 bytes" in problem(api.post("complaints", content=(b"x" * 10_000 for _ in range(7))), 413)
        problem(api.post("complaints", content=b"{"), 422)
        problem(api.post("complaints", content=b"\xff\xfe"), 422)


async def test_a_fault_of_ours_is_a_problem_without_its_traceback(town: Town) -> None:
    town.clock = cast(Clock, None)  # what nobody foresees
    token = make_key(town.records, "faulty", ["read"], "test", wall_ms())
    here = httpx.ASGITransport(make_api(Asked(town)), raise_app_exceptions=False)
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=here, base_url="http://here") as client:
            answer = await client.get("/sites", headers={"Authorization": f"Bearer {token}"})
    assert logs[0]["event"] == "the API failed"
    assert "the log says why" in problem(answer, 500)
    assert "NoneType" not in answer.text


def test_a_notices_steps_carry_its_words(server: Server) -> None:
    with server.api("read") as api:
        steps = api.get("notices/2").json()["transitions"]
    assert [step["to_state"] for step in steps] == ["due", "published", "closed"]
    assert all("滨河小区" in step["text_zh"] for step in steps)
    assert "结束" in steps[-1]["closing_zh"]
    assert not any("queued" in step for step in steps)


def test_the_notices_of_a_station(server: Server) -> None:
    with server.api("read") as api:
        found = api.get("notices", params={"station": "S11"}).json()["items"]
        assert [one["stations"] for one in found] == [["S11"]]
        assert api.get("notices", params={"station": "S1"}).json()["items"] == []
        assert api.get("notices", params={"station": '%"'}).json()["items"] == []


def test_buildings_and_one_room(server: Server) -> None:
    with server.api("read") as api:
        found = api.get("buildings", params={"station": "S05"}).json()["items"]
        assert COLD_BUILDING in {one["building_id"] for one in found}
        assert {one["station_id"] for one in found} == {"S05"}
        room = api.get(f"rooms/{COLD_BUILDING}-101").json()
        assert (room["building_id"], room["station_id"], room["limit_c"]) == (COLD_BUILDING, "S05", 18.0)
        problem(api.get("rooms/nowhere"), 404)


def test_how_much_one_key_may_ask() -> None:
    rate = Rate(60, 3, now_s=iter([0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 10.0]).__next__)
    assert [round(rate.wait_s(1), 2) for _ in range(7)] == [0.0, 0.0, 0.0, 1.0, 0.5, 0.0, 0.0]
