"""What the API's description says of its answers is what they hold: every field is named, and residents only to who works on complaints."""

from typing import Any

import pytest

from dashboard.api.app import BASE, description_of_api
from dashboard.api.shapes import listed
from store.records.tables import complaints, outages
from tests.dashboard.conftest import Server
from tests.dashboard.sample_town import STOPPED

DESCRIBED = description_of_api()
SHAPES = DESCRIBED["components"]["schemas"]
LISTS = {
    "sites": "Site",
    "stations": "Station",
    f"stations/{STOPPED}/curves": "Curve",
    "buildings": "Building",
    "rooms": "Room",
    "verdicts?day=2026-01-15": "RoomDay",
    "alarms": "Alarm",
    "outages": "Outage",
    "notices": "Notice",
    "complaints": "Complaint",
}
BELONGING = {
    "alarms": ("transitions",),
    "outages": ("transitions",),
    "notices": ("transitions",),
    "complaints": ("transitions", "rooms", "deeds"),
}


@pytest.mark.parametrize(("path", "shape"), LISTS.items())
def test_every_field_of_a_list_is_described(server: Server, path: str, shape: str) -> None:
    with server.api("read") as api:
        found = api.get(path).json()["items"]
    assert found
    assert {name for one in found for name in one} == set(SHAPES[shape]["properties"])


@pytest.mark.parametrize("path", BELONGING)
def test_every_field_of_one_is_described(server: Server, path: str) -> None:
    described = SHAPES[f"{path.removesuffix('s').title()}InFull"]["properties"]
    seen: dict[str, set[str]] = {name: set() for name in BELONGING[path]}
    with server.api("read") as api:
        for row in api.get(path).json()["items"]:
            one = api.get(f"{path}/{row['id']}").json()
            assert set(one) == set(described)
            for name, fields in seen.items():
                fields |= {field for step in one[name] for field in step}
    for name, fields in seen.items():
        assert fields in (set(), set(described[name]["items"]["properties"]))
    assert any(seen.values()) or path in ("alarms", "outages")  # whose steps the sample leaves out


def test_a_list_of_complaints_leaves_their_evidence_to_each_of_them(server: Server) -> None:
    with server.api("read") as api:
        rows = api.get("complaints").json()["items"]
        assert rows
        assert not any("evidence" in row for row in rows)
        assert any(api.get(f"complaints/{row['id']}").json()["evidence"] for row in rows)
    assert {column.name for column in complaints.columns} - {column.name for column in listed(complaints)} == {"evidence"}
    assert listed(outages) == list(outages.columns)  # theirs is a few signs


def test_every_answer_has_a_shape_and_the_address_is_told() -> None:
    assert DESCRIBED["servers"] == [{"url": BASE}]
    answered = [done["responses"].get("200") or done["responses"]["201"] for path in DESCRIBED["paths"].values() for done in path.values()]
    assert [one for one in answered if not one["content"]["application/json"]["schema"]] == []


def test_residents_are_named_only_to_keys_that_work_on_complaints(server: Server) -> None:
    def residents(*scopes: str) -> list[dict[str, Any]]:
        with server.api(*scopes) as api:
            rows = [row for row in api.get("complaints").json()["items"] if row["origin"] == "resident"]
            assert rows
            return [*rows, api.get(f"complaints/{rows[0]['id']}").json()]

    assert {(row["reporter"], row["contact"]) for row in residents("read")} == {(None, None)}
    assert any(row["reporter"] and row["contact"] for row in residents("read", "complaints"))
