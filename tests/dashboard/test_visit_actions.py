"""Visits filed on the page: the register of instruments, signatures from screens and cameras, homes without a sensor, the printed sheet."""

import base64
import io
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageOps
from sqlalchemy import Engine, select

from dashboard.actions.acting import RefusedError
from dashboard.actions.calibrations import register_calibration
from dashboard.actions.signatures import signature_png
from dashboard.actions.visits import SIGNATURE_BYTES_MOST, file_visit, signature_fault
from dashboard.desk.visit_form import numbers
from dashboard.facts.instruments import Calibration, held_on, register
from dashboard.facts.town import Town
from dashboard.facts.visits import listed_visits, signature_of, visit_row, visit_rows, visits_found
from dashboard.roles import Account
from domain.site import Site
from domain.visit import Visit
from store.records.tables import audit, calibrations
from store.records.visits import broken_visits
from tests.dashboard.conftest import Server
from tests.dashboard.sample_town import COLD_BUILDING, EVIL, NOW_MS, SampleTown

DESK = Account("客服李", "service")
DAY = date(2026, 1, 15)


def drawn(size: tuple[int, int] = (600, 200), mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, size, "white")
    ImageDraw.Draw(image).line([(20, 20), (size[0] // 2, size[1] - 20), (size[0] - 20, 30)], fill="black", width=4)
    return image


def sent(image: Image.Image, form: str = "PNG", says: str = "png", **more: object) -> str:
    content = io.BytesIO()
    image.save(content, form, **more)
    return f"data:image/{says};base64,{base64.b64encode(content.getvalue()).decode()}"


def as_url(content: bytes, says: str = "png") -> str:
    return f"data:image/{says};base64,{base64.b64encode(content).decode()}"


def test_a_drawing_becomes_a_small_grey_png() -> None:
    png = signature_png(sent(drawn()))
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", (600, 200))
    assert len(png) < 10_000
    assert signature_fault(png) == ""


@pytest.mark.parametrize(("form", "says"), [("JPEG", "jpeg"), ("WEBP", "webp"), ("JPEG", "png"), ("PNG", "webp")])
def test_a_photo_is_known_by_its_content_not_by_its_name(form: str, says: str) -> None:
    assert signature_png(sent(drawn(), form, says))[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_noisy_photo_is_made_smaller_until_it_fits() -> None:
    noise = Image.effect_noise((1_100, 800), 90).convert("RGB")
    png = signature_png(sent(noise, "JPEG", "jpeg", quality=60))
    assert len(png) <= SIGNATURE_BYTES_MOST


def test_a_photo_stands_upright_and_keeps_nothing_of_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90°
    exif[0x010E] = "阜新市某小区2单元301"
    png = signature_png(sent(drawn((300, 120)), "JPEG", "jpeg", exif=exif.tobytes()))
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (120, 300)
        assert not image.getexif()
    assert "阜新".encode() not in png


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_upright_whatever_else_its_camera_writes_wrongly(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a maker"
    odd = exif.tobytes().replace(b"\x01\x0f\x00\x02", b"\x01\x00\x00\x02")  # the width, in letters
    assert odd != exif.tobytes()
    taken, plain = drawn((300, 120)), Image.Exif()
    plain[0x0112] = orientation
    content = io.BytesIO()
    taken.save(content, "PNG", exif=plain.tobytes())
    upright = ImageOps.exif_transpose(Image.open(content))
    with Image.open(io.BytesIO(signature_png(sent(taken, "PNG", "png", exif=odd)))) as image:
        assert image.size == upright.size
        assert max(ImageChops.difference(image.convert("L"), upright.convert("L")).tobytes()) < 32


def test_what_hides_behind_a_picture_is_gone() -> None:
    content = io.BytesIO()
    drawn().save(content, "PNG")
    png = signature_png(as_url(content.getvalue() + EVIL.encode()))
    assert b"script" not in png


def _bomb() -> str:
    content = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(content, "PNG")
    return as_url(content.getvalue())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: "unreadable", "no picture"),
        (lambda: "data:text/html;base64,PHNjcmlwdD4=", "no picture"),
        (lambda: "data:image/svg+xml;base64,PHN2Zz4=", "no picture"),
        (lambda: as_url(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), "no picture"),
        (lambda: as_url(EVIL.encode()), "no picture"),
        (lambda: sent(drawn(), "GIF"), "no picture"),
        (lambda: sent(drawn())[:400] + "=", "no picture"),
        (lambda: "data:image/png;base64,AAA", "no picture"),
        (lambda: sent(Image.new("RGB", (600, 200), "white")), "empty"),
        (lambda: sent(drawn((600, 8))), "16 to 4000"),
        (lambda: "data:image/png;base64," + "A" * 1_000_001, "too large"),
        (_bomb, "no picture|too many pixels"),
    ],
)
def test_what_is_no_signature_is_refused(wrong: Callable[[], str], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        signature_png(wrong())


def test_random_bytes_are_refused_and_break_nothing() -> None:
    chance = random.Random(7)
    whole = io.BytesIO()
    drawn().save(whole, "PNG")
    for _ in range(60):
        content = bytearray(whole.getvalue())
        for _ in range(6):
            content[chance.randrange(8, len(content))] = chance.randrange(256)
        assert outcome(bytes(content)) == ""


def outcome(content: bytes) -> str:
    """What is wrong with the stored picture; nothing where it was refused."""
    try:
        return signature_fault(signature_png(as_url(content)))
    except RefusedError:
        return ""


def test_a_calibration_is_registered_once_and_audited(records: Engine) -> None:
    register_calibration(records, DESK, " HT-01 ", date(2025, 9, 1), date(2026, 8, 31), "辽计-0042", NOW_MS)
    with pytest.raises(RefusedError, match="already"):
        register_calibration(records, DESK, "HT-01", date(2025, 9, 1), date(2026, 8, 31), "", NOW_MS)
    with pytest.raises(RefusedError, match="can't end"):
        register_calibration(records, DESK, "HT-02", date(2025, 9, 2), date(2025, 9, 1), "", NOW_MS)
    with pytest.raises(RefusedError, match="128"):
        register_calibration(records, DESK, "  ", date(2025, 9, 1), date(2026, 8, 31), "", NOW_MS)
    with pytest.raises(RefusedError, match="role"):
        register_calibration(records, Account("访客", "viewer"), "HT-03", date(2025, 9, 1), date(2026, 8, 31), "", NOW_MS)
    with records.connect() as connection:
        assert [row.instrument for row in connection.execute(select(calibrations))] == ["HT-01"]
        found = connection.execute(select(audit.c.action, audit.c.refused).order_by(audit.c.id)).all()
    assert [tuple(row) for row in found] == [("register_calibration", False), ("register_calibration", True)]


@pytest.mark.parametrize(
    ("day", "since"),
    [
        (date(2026, 1, 15), date(2025, 9, 1)),  # covered
        (date(2025, 9, 1), date(2025, 9, 1)),  # the first day counts
        (date(2025, 8, 31), date(2024, 9, 1)),
        (date(2027, 1, 1), date(2025, 9, 1)),  # expired: the last one before
        (date(2020, 1, 1), date(2024, 9, 1)),  # before all of them
    ],
)
def test_the_calibration_that_held_on_the_day(day: date, since: date) -> None:
    rows = [Calibration("HT-01", date(2025, 9, 1), date(2026, 8, 31), ""), Calibration("HT-01", date(2024, 9, 1), date(2025, 8, 31), "")]
    assert held_on(rows, day).since == since


@pytest.mark.parametrize(
    ("typed", "found"),
    [("18.2 18.4  18.3", (18.2, 18.4, 18.3)), ("18.2；18.4、18.3", (18.2, 18.4, 18.3)), ("", ()), ("18.2 warm", None), ("十八", None)],
)
def test_readings_as_they_are_typed(typed: str, found: tuple[float, ...] | None) -> None:
    assert numbers(typed) == found


def visit(room_id: str = f"{COLD_BUILDING}-101", *, signature: bytes | None = None) -> Visit:
    days = date(2025, 9, 1), date(2026, 8, 31)
    return Visit(room_id, NOW_MS - 60_000, "测温员王", "HT-01", *days, 30.0, True, 1.2, (16.8, 17.0), signature)


def test_a_home_without_a_sensor_is_visited_too(records: Engine, sample: SampleTown) -> None:
    site: Site = sample.site
    signed = signature_png(sent(drawn()))
    assert file_visit(records, DESK, site, visit(f"{COLD_BUILDING}:7单元909", signature=signed), NOW_MS).id == 1
    for wrong in (f"{COLD_BUILDING}:", f"{COLD_BUILDING}: ", "NOWHERE:1", COLD_BUILDING, f"{COLD_BUILDING}:{'9' * 200}"):
        with pytest.raises(RefusedError, match="BUILDING:FLAT"):
            file_visit(records, DESK, site, visit(wrong), NOW_MS)
    with records.connect() as connection:
        assert list(broken_visits(connection)) == []


def test_the_list_and_the_printed_sheet(server: Server, town: Town) -> None:
    signed = signature_png(sent(drawn()))
    first = file_visit(server.records, DESK, town.site, visit(signature=signed), NOW_MS).id
    second = file_visit(server.records, DESK, town.site, replace(visit(), corrects=first, remark=EVIL, measured_by=EVIL[:100]), NOW_MS).id
    rows = {row.id: row for row in visit_rows(town, room_id=f"{COLD_BUILDING}-101")}
    assert (rows[first].official, rows[first].corrected_by, rows[first].faults) == (False, second, [])
    assert (rows[second].official, rows[second].faults) == (False, ["no_signature"])
    assert signature_of(town, first) == signed
    assert visit_row(town, 999) is None
    other_home = file_visit(server.records, DESK, town.site, visit(f"{COLD_BUILDING}:7单元909"), NOW_MS).id
    town.shared.forget()
    building = town.site.buildings[COLD_BUILDING]
    for text, ids in (
        ("", [other_home, second, first]),
        (building.name, [other_home, second, first]),
        (f" {building.street} ", [other_home, second, first]),
        ("7单元909", [other_home]),
        ("909", [other_home]),
        (f"{COLD_BUILDING}-101", [second, first]),
        (f"№ {first}", [first]),
        ("没有这样的地方", []),
    ):
        assert [row.id for row in listed_visits(town, text, 1)] == ids, text
        assert (visits_found(town, text), listed_visits(town, text, 2)) == (len(ids), [])
    assert register(town) == {}
    with server.client("service") as client:
        sheet = client.get(f"/visit/{first}?lang=en")
        assert sheet.status_code == 200
        assert base64.b64encode(signed).decode() in sheet.text
        assert "16.90 ℃" in sheet.text
        other = client.get(f"/visit/{second}")
        assert "not signed" in other.text
        assert EVIL not in other.text
        assert "&lt;script&gt;" in other.text
        assert client.get("/visit/999").status_code == 404
        assert client.get(f"/visit/{2**80}").status_code == 404
        assert client.get("/visit/one").status_code == 404
        assert client.get("/visit/-1").status_code == 404
    with server.client("viewer") as client:
        refused = client.get(f"/visit/{first}")
        assert refused.status_code == 403
        assert "data:image" not in refused.text
    with server.stranger() as client:
        assert client.get(f"/visit/{first}").status_code in {303, 401}
