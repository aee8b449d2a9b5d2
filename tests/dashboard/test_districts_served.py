"""An account limited to a district on the running server: no page, sheet, file or guessed number tells of another district.

each page, as Streamlit sends it ──▶ every name and number of the other district's stations ──▶ none of them
"""

import io
import re
import zipfile
from collections.abc import Iterator

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dashboard.accounts import make_invitation, wall_ms
from dashboard.pages import PAGES
from dashboard.roles import RIGHTS
from dashboard.session import COOKIE
from tests.dashboard.conftest import Server, form_token
from tests.dashboard.sample_town import COLD_BUILDING, TOO_WARM

EAST = "一区"
# Stations S07 to S12 stand in the other district: their ids, those of what hangs on them, their names.
FAR = re.compile(r"(?<![A-Za-z0-9])D?S(?:0[7-9]|1[0-2])(?![0-9])|(?:建设街|铁西|光明|和平里|滨河|新华)换热站|二区")
FAR_BUILDING = "S08-B19"
ROLE = "engineer"  # sees every page but the administrator's, visits' sheets too
SHOWN = [entry.path for entry in PAGES.values() if ROLE in RIGHTS[entry.right]]
GUESSED = (
    ("station", f"station={TOO_WARM}"),
    ("building", f"building={FAR_BUILDING}"),
    ("building", f"room={FAR_BUILDING}-201"),
    ("curves", f"station={TOO_WARM}"),
    ("balance", f"station={TOO_WARM}"),
    ("outages", "outage=2"),
    ("outages", "notice=1"),
    ("outages", f"station={TOO_WARM}"),
    ("data", f"device=D{TOO_WARM}"),
)


@pytest.fixture(scope="module")
def east(server: Server) -> Iterator[httpx.Client]:
    token = make_invitation(server.records, "王东", ROLE, wall_ms(), [EAST])
    with server.stranger() as client:
        assert client.post("/enter", data={"token": token, "form": form_token(client, "/enter")}).status_code == 303
        yield client


@pytest.fixture(scope="module")
def whole(server: Server) -> Iterator[httpx.Client]:
    with server.client(ROLE) as client:
        yield client


def shown(server: Server, client: httpx.Client, path: str, query: str = "") -> str:
    """All that a page sends to the browser."""
    headers = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}", "Origin": server.address}
    url = f"ws://127.0.0.1:{server.port}/_stcore/stream"
    with connect(url, additional_headers=headers, subprotocols=[Subprotocol("streamlit")], proxy=None, max_size=None) as page:
        asked = BackMsg()
        asked.rerun_script.page_name = path
        asked.rerun_script.query_string = query
        page.send(asked.SerializeToString())
        told, message = [], ForwardMsg()
        while message.WhichOneof("type") != "script_finished":
            raw = page.recv(60)
            assert isinstance(raw, bytes)
            message = ForwardMsg.FromString(raw)
            if message.WhichOneof("type") != "new_session":  # tells where the script lies, and the address that was asked for
                told.append(raw.decode("utf-8", "replace"))
    text = "".join(told)
    assert "Traceback" not in text
    return re.sub(r"\\u([0-9a-f]{4})", lambda escaped: chr(int(escaped[1], 16)), text)  # JSON within


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path or "overview")
def test_no_page_tells_of_another_district(server: Server, east: httpx.Client, path: str) -> None:
    text = shown(server, east, path)
    assert len(text) > 1_000
    assert FAR.findall(text) == []


@pytest.mark.parametrize("path", ["", "alarms", "outages", "complaints", "station", "balance", "data", "curves"])
def test_the_same_pages_tell_of_it_to_whom_the_whole_site_is_shown(server: Server, whole: httpx.Client, path: str) -> None:
    assert FAR.search(shown(server, whole, path))


@pytest.mark.parametrize(("path", "query"), GUESSED)
def test_a_guessed_address_tells_nothing(server: Server, east: httpx.Client, path: str, query: str) -> None:
    text = shown(server, east, path, query).replace(query, "")
    assert FAR.findall(text) == []


def test_guessed_numbers_of_alarms_and_complaints_tell_nothing(server: Server, east: httpx.Client) -> None:
    with server.api("read") as api:
        for kind, path in (("alarm", "alarms"), ("complaint", "complaints")):
            rows = api.get(path, params={"limit": 1000}).json()["items"]
            far = [row["id"] for row in rows if row["station_id"] in {"S08", "S10", "S12"}]
            assert far
            for number in far[:2]:
                assert FAR.findall(shown(server, east, path, f"{kind}={number}")) == []


def test_sheets_files_and_the_reports_of_other_areas_are_not_there(server: Server, east: httpx.Client, whole: httpx.Client) -> None:
    for number in (1, 2, 3):  # the sample's notices are all of the other district
        assert whole.get(f"/notices/{number}").status_code == 200
        answer = east.get(f"/notices/{number}")
        assert (answer.status_code, FAR.findall(answer.text)) == (404, [])
    for area in (f"station/{TOO_WARM}", TOO_WARM, "二区", "district/二区", f"building/{FAR_BUILDING}"):
        found = east.get("/report/2026-01.json", params={"area": area})
        assert found.status_code == 404 or FAR.findall(found.text.replace(area, "")) == []
    assert FAR.search(whole.get("/report/2026-01.json").text)
    assert FAR.findall(east.get("/report/2026-01.json").text) == []
    with zipfile.ZipFile(io.BytesIO(east.get("/report/2026-01.xlsx").content)) as workbook:
        sheets = "".join(workbook.read(name).decode() for name in workbook.namelist() if name.endswith(".xml"))
    assert "S05" in sheets or COLD_BUILDING in sheets
    assert FAR.findall(sheets) == []
    assert FAR.findall(east.get("/shift/print").text) == []
