"""An account or a key that is limited to districts: facts, acts and the API show and change nothing beyond them, whatever is asked."""

import httpx
import pytest
from sqlalchemy import func, select, text, update

from dashboard.accounts import make_invitation, wall_ms
from dashboard.actions.acting import RefusedError
from dashboard.actions.alarms import acknowledge_alarms
from dashboard.actions.complaints import move_complaint
from dashboard.actions.curves import file
from dashboard.actions.notices import publish_notice
from dashboard.api.keys import SCOPES, make_key
from dashboard.facts.alarms import Wanted, alarm_rows
from dashboard.facts.complaints import complaint_rows, dossier
from dashboard.facts.limited_town import NOWHERE, within
from dashboard.facts.notices import notice_rows
from dashboard.facts.outages import outage_rows
from dashboard.facts.rooms import town_counts
from dashboard.facts.station import quantities_of
from dashboard.facts.stations import station_states
from dashboard.facts.town import Town
from dashboard.roles import Account
from domain.curve import FiledCurve
from domain.errors import StoreError
from domain.reach import Reach, districts_of
from store.records.narrowed import SITE_WIDE, Conditions, reach_of
from store.records.tables import alarms, audit, complaints, metadata
from tests.dashboard.conftest import Server, form_token
from tests.dashboard.sample_town import COLD_BUILDING, NOW_MS, OVERDUE, STOPPED, TOO_WARM

EAST, WEST = "一区", "二区"  # S01 to S06; S07 to S12
IN_EAST, IN_WEST = frozenset({EAST}), frozenset({WEST})


def test_a_reach_ends_at_the_border(town: Town) -> None:
    reach = Reach.of(town.site, IN_EAST)
    assert set(districts_of(town.site)) == {EAST, WEST}
    assert reach.stations == {"S01", "S02", "S03", "S04", "S05", "S06"}
    assert reach.sees(f"building/{COLD_BUILDING}")
    assert reach.sees(f"room/{COLD_BUILDING}-101/indoor_temp_c")
    assert not reach.sees(f"station/{OVERDUE}")
    assert not reach.sees("anything")


def test_facts_end_at_the_border(town: Town) -> None:
    east, west = within(town, IN_EAST), within(town, IN_WEST)
    assert within(town, frozenset()) is town
    assert list(station_states(east)) == ["S01", "S02", "S03", "S04", "S05", "S06"]
    assert town_counts(east).rooms + town_counts(west).rooms == town_counts(town).rooms
    assert {row.station_id for row in alarm_rows(east, Wanted("all"))} == {"S02", "S05"}
    assert {row.station_id for row in outage_rows(east)} == {STOPPED}
    assert OVERDUE in {row.station_id for row in outage_rows(west)}
    assert {row.subject for row in notice_rows(east)} <= {f"station/{one}" for one in east.site.stations}
    assert "S05" in {row.station_id for row in complaint_rows(east)} <= set(east.site.stations)
    hidden = next(row for row in complaint_rows(town) if row.station_id == "S08")
    assert dossier(east, hidden.id) is None
    assert dossier(west, hidden.id) is not None
    assert quantities_of(east, TOO_WARM) == []
    assert not east.newest([f"station/{TOO_WARM}/secondary_supply_temp_c"]).known[0]
    assert west.newest([f"station/{TOO_WARM}/secondary_supply_temp_c"]).known[0]
    far = town.points.find(f"station/{TOO_WARM}/secondary_supply_temp_c")
    assert far is not None
    assert not east.newest_of([far]).known[0]
    assert len(within(town, NOWHERE).site.stations) == 0


def test_every_table_is_told_by_district_or_belongs_to_the_whole_site(town: Town) -> None:
    conditions = Conditions(Reach.of(town.site, IN_EAST), town.records.dialect.name)
    shut = {table.name for table in metadata.sorted_tables if str(conditions.of(table)) == "false"}
    assert shut == set(), "a new table: give it station_id, room_id or subject, or name it in SITE_WIDE"
    assert set(metadata.tables) >= SITE_WIDE


def test_statements_that_cannot_be_told_are_refused(town: Town) -> None:
    east = within(town, IN_EAST)
    with pytest.raises(StoreError, match="limited to districts"), east.records.connect() as connection:
        connection.execute(text("SELECT * FROM alarms"))
    with east.records.begin() as connection:
        everything = connection.execute(select(func.count()).select_from(alarms)).scalar_one()
        own = connection.execute(select(alarms.c.station_id).distinct()).scalars().all()
        moved = connection.execute(update(complaints).where(complaints.c.station_id == "S08").values(reason="mine")).rowcount
        nested = connection.execute(select(select(func.count()).select_from(complaints).scalar_subquery())).scalar_one()
    assert set(own) == {"S02", "S05"}
    assert moved == 0
    with town.records.connect() as connection:
        assert everything < connection.execute(select(func.count()).select_from(alarms)).scalar_one()
        assert nested < connection.execute(select(func.count()).select_from(complaints)).scalar_one()


def test_acts_end_at_the_border_and_are_audited(town: Town) -> None:
    east = within(town, IN_EAST)
    who = Account("东区调度", "dispatcher", IN_EAST)
    theirs = next(row.id for row in alarm_rows(town, Wanted("all")) if row.station_id == "S08")
    ours = next(row.id for row in alarm_rows(east, Wanted("unacknowledged")))
    hidden = next(row for row in complaint_rows(town) if row.station_id == "S08")
    notice = next(row.id for row in notice_rows(town) if row.subject == f"station/{OVERDUE}")
    curve = FiledCurve(TOO_WARM, NOW_MS + 3_600_000, (-20.0, 0.0), (70.0, 46.0), "", "forged")
    for act in (
        lambda: acknowledge_alarms(east.records, who, [theirs], "", NOW_MS),
        lambda: acknowledge_alarms(east.records, who, [ours, theirs], "", NOW_MS),
        lambda: move_complaint(east.records, who, hidden.id, hidden.state, "reopened", "x", NOW_MS),
        lambda: publish_notice(east.records, who, notice, 0, NOW_MS),
        lambda: file(east.records, Account("东区", "engineer", IN_EAST), curve, NOW_MS),
        lambda: acknowledge_alarms(town.records, who, [ours], "", NOW_MS),  # records that nobody narrowed
    ):
        with pytest.raises(RefusedError, match="districts"):
            act()
    assert acknowledge_alarms(east.records, who, [ours], "seen", NOW_MS) == 1
    with town.records.connect() as connection:
        rows = connection.execute(select(audit.c.after).where(audit.c.refused, audit.c.who == "东区调度")).scalars().all()
    assert len(rows) == 5
    assert all(one == {"districts": [EAST]} for one in rows)
    assert reach_of(town.records) is None


def test_a_key_limited_to_a_district_sees_nothing_of_another(server: Server) -> None:
    token = make_key(server.records, "east desk", SCOPES, "test", wall_ms(), [EAST])
    base = f"{server.address}/api/v1"
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=30.0) as api:
        assert api.get("sites").json()["items"][0]["stations"] == 6
        assert {one["station_id"] for one in api.get("stations").json()["items"]} == {"S01", "S02", "S03", "S04", "S05", "S06"}
        for path in (f"stations/{TOO_WARM}", f"stations/{TOO_WARM}/curves", "rooms/S08-B19-201"):
            assert api.get(path).status_code == 404
        for path in ("rooms", "buildings", "alarms", "outages", "complaints", "notices"):
            assert api.get(path, params={"station": OVERDUE, "limit": 1000}).json()["items"] == []
        point = f"station/{TOO_WARM}/secondary_supply_temp_c"
        assert api.get("latest", params={"point": point}).json()["value"] == [None]
        assert api.get("readings", params={"point": point}).json()["value"] == []
        assert not any(TOO_WARM in one for one in api.get("latest").json()["point"])
        verdicts = api.get("verdicts", params={"day": "2026-01-15", "limit": 1000}).json()["items"]
        assert {one["station_id"] for one in verdicts} == {"S01", "S02", "S03", "S04", "S05", "S06"}
        with server.api("read") as whole:
            far = whole.get("complaints", params={"station": "S08"}).json()["items"][0]
        assert api.get(f"complaints/{far['id']}").status_code == 404
        step = {"from_state": far["state"], "to_state": "reopened", "why": "forged"}
        assert api.post(f"complaints/{far['id']}/transitions", json=step).status_code == 404
        new = {"subject": "station/S10", "category": "other", "source": "app"}
        assert api.post("complaints", json=new).status_code == 409
        assert api.post("complaints", json=new | {"subject": "station/S05"}).status_code == 201


def test_sheets_and_files_end_at_the_border(server: Server, town: Town) -> None:
    theirs = next(row.id for row in notice_rows(town) if row.subject in {f"station/{one}" for one in within(town, IN_WEST).site.stations})
    with server.stranger() as client, server.client() as whole:
        token = make_invitation(server.records, "王东", "dispatcher", wall_ms(), sorted(IN_EAST))
        assert client.post("/enter", data={"token": token, "form": form_token(client, "/enter")}).status_code == 303
        assert whole.get(f"/notices/{theirs}").status_code == 200
        assert client.get(f"/notices/{theirs}").status_code == 404
        limited, every = (one.get("/report/2026-01.json").text for one in (client, whole))
        assert f"station/{OVERDUE}" in every or OVERDUE in every
        assert f'"{OVERDUE}"' not in limited
        assert client.get("/shift/print").status_code in {200, 404}
