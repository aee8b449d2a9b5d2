"""Who sees which page: in the bar, and at its address; and that links on a page lead somewhere."""

import ast
from pathlib import Path

import pytest
from sqlalchemy import Engine
from starlette.requests import Request

from dashboard.accounts import add_account, wall_ms
from dashboard.pages import GROUPS, PAGES, PageEntry, allowed, grouped
from dashboard.roles import RIGHTS, ROLES, Account
from dashboard.session import COOKIE, Sessions
from dashboard.shell import PageShell

ROOT = Path(__file__).parents[2]
SHUT = PageEntry("shut", "wall.py", "Supply curves", "administration", "file_curve")
OPEN = PageEntry("open", "wall.py", "Alarms", "service")


def test_every_page_has_its_file_and_a_group_of_the_bar() -> None:
    assert {page.group for page in PAGES.values()} <= set(GROUPS)
    assert [page.file for page in PAGES.values() if not (ROOT / "dashboard" / "views" / page.file).exists()] == []
    assert next(iter(PAGES)) == ""


@pytest.mark.parametrize("role", ROLES)
def test_a_page_without_the_right_is_not_in_the_bar_and_a_group_without_pages_neither(role: str) -> None:
    seen = grouped(allowed(Account("王", role), [SHUT, OPEN]))
    assert list(seen) == (["service", "administration"] if role in {"engineer", "admin"} else ["service"])
    assert seen["service"] == [OPEN]


def test_the_groups_stand_in_the_order_of_the_bar() -> None:
    found = list(grouped(allowed(Account("王", "admin"))))
    assert found == [group for group in GROUPS if group in found]


def shown_and_left(source: str) -> list[str]:
    """The templates of panels whose answer, such as an address to open, nobody looks at."""
    calls = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    panels = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "panel"]
    named = [made.args[0] for made in panels if isinstance(made, ast.Call) and made.args]
    return [str(name.value) for name in named if isinstance(name, ast.Constant)]


def test_every_link_of_a_panel_is_followed() -> None:
    folder = ROOT / "dashboard"
    left = {template for path in folder.rglob("*.py") for template in shown_and_left(path.read_text(encoding="utf-8"))}
    assert "visit_check.html" in left
    assert [template for template in sorted(left) if "{{ open(" in (folder / "templates" / template).read_text(encoding="utf-8")] == []


def answer(records: Engine, entry: PageEntry, cookie: str = "") -> tuple[int, str]:
    sessions = Sessions(records, b"key")
    scope = {"type": "http", "method": "GET", "path": f"/{entry.path}", "query_string": b"lang=en", "scheme": "http", "server": ("x", 80)}
    found = PageShell(entry, sessions).show(Request(scope | {"headers": [(b"cookie", f"{COOKIE}={cookie}".encode())]}))
    return found.status_code, bytes(found.body).decode()


@pytest.mark.parametrize(("role", "shut"), [("viewer", 403), ("dispatcher", 403), ("engineer", 200), ("admin", 200)])
def test_the_address_of_a_page_is_refused_without_the_right(records: Engine, role: str, shut: int) -> None:
    add_account(records, "王", role, "a long enough one", wall_ms())
    cookie = Sessions(records, b"key").open(Account("王", role))
    assert answer(records, OPEN, cookie)[0] == 200
    status, text = answer(records, SHUT, cookie)
    assert status == shut
    assert ("Your role does not show this page." in text) == (shut == 403)


def test_a_stranger_gets_no_page(records: Engine) -> None:
    assert answer(records, OPEN)[0] == 403


def test_the_docs_say_who_each_page_answers() -> None:
    told = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    for page in PAGES.values():
        roles = ", ".join(role for role in ROLES if role in RIGHTS[page.right])
        assert f"| `/{page.path}` | {roles} |" in told, page.path
    assert told.count("\n| `/") == len(PAGES)
