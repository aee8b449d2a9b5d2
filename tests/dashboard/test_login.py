"""Signing in: passwords, lockout, one-time links, forms that can't be forged."""

import httpx
import pytest
from sqlalchemy import select, update

from dashboard.accounts import add_account, fingerprint, wall_ms
from dashboard.session import COOKIE
from store.records.tables import accounts, audit, invitations, sessions
from tests.dashboard.conftest import PASSWORD, Server, form_token


def sign_in(client: httpx.Client, name: str, password: str, **more: str) -> httpx.Response:
    return client.post("/login", data={"name": name, "password": password, "form": form_token(client, "/login"), **more})


def test_a_password_opens_a_session(server: Server, dispatcher: str) -> None:
    with server.stranger() as client:
        answer = sign_in(client, dispatcher, PASSWORD, next="/alarms")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/alarms"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert client.get("/").status_code == 200
        assert dispatcher in client.get("/account").text


def test_a_wrong_password_and_an_unknown_account_look_the_same(server: Server, dispatcher: str) -> None:
    with server.stranger() as client:
        wrong = sign_in(client, dispatcher, "not the one at all")
        unknown = sign_in(client, "nobody", PASSWORD)
        assert wrong.status_code == unknown.status_code == 401
        hidden = form_token(client, "/login")
        assert wrong.text.replace(hidden, "") == unknown.text.replace(hidden, "")
        assert COOKIE not in client.cookies


def test_guessing_locks_the_account_even_for_the_right_password(server: Server) -> None:
    add_account(server.records, "victim", "viewer", PASSWORD, wall_ms())
    with server.stranger() as client:
        answers = [sign_in(client, name, "wrong guess here").status_code for name in ("victim", "VICTIM", "victim", "Victim", "victim")]
        assert answers == [401] * 5
        locked = sign_in(client, "victim", PASSWORD)
        assert locked.status_code == 429
        assert 800 < int(locked.headers["retry-after"]) <= 900
        assert COOKIE not in client.cookies
    with server.records.connect() as connection:
        rows = connection.execute(select(audit.c.refused).where(audit.c.action == "sign_in", audit.c.subject.ilike("account/victim"))).all()
    assert len(rows) == 5
    assert all(row.refused for row in rows)


@pytest.mark.parametrize("form", ["", "0" * 64, "ü"])
def test_forms_without_our_token_are_refused(server: Server, dispatcher: str, form: str) -> None:
    with server.stranger() as client:
        client.get("/login")
        answer = client.post("/login", data={"name": dispatcher, "password": PASSWORD, "form": form})
        assert answer.status_code == 403
        assert COOKIE not in client.cookies


def test_a_token_belongs_to_its_own_reader(server: Server, dispatcher: str) -> None:
    with server.stranger() as attacker, server.stranger() as victim:
        stolen = form_token(attacker, "/login")
        victim.get("/login")
        assert victim.post("/login", data={"name": dispatcher, "password": PASSWORD, "form": stolen}).status_code == 403


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}])
@pytest.mark.parametrize("path", ["/login", "/enter", "/account", "/logout"])
def test_forms_from_other_sites_are_refused(server: Server, path: str, headers: dict[str, str]) -> None:
    with server.client() as client:
        token = form_token(client, "/account")
        assert client.post(path, data={"form": token}, headers=headers).status_code == 403
        assert client.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/logout", "/account"])
def test_forms_of_a_session_need_its_token(server: Server, path: str) -> None:
    with server.client() as client, server.client() as other:
        for form in ("", form_token(other, "/account")):
            assert client.post(path, data={"form": form, "new": PASSWORD, "again": PASSWORD}).status_code == 403
        assert client.get("/").status_code == 200


def test_a_link_is_used_at_once_but_by_nobody_who_is_signed_in_already(server: Server) -> None:
    token = server.link("somebody-else", "viewer")
    with server.stranger() as stranger, server.client("dispatcher") as reader:
        assert "/assets/enter.js" in stranger.get("/enter", params={"token": token}).text
        asked = reader.get("/enter", params={"token": token}).text
    assert "/assets/enter.js" not in asked
    assert "<button>" in asked


def test_a_link_works_once_and_looking_does_not_use_it(server: Server) -> None:
    token = server.link("linked", "viewer")
    with server.stranger() as client, server.stranger() as late:
        for _ in range(3):
            assert token in client.get("/enter", params={"token": token}).text
        first = client.post("/enter", data={"token": token, "form": form_token(client, "/enter")})
        assert (first.status_code, first.headers["location"]) == (303, "/")
        assert client.get("/").status_code == 200
        second = late.post("/enter", data={"token": token, "form": form_token(late, "/enter")})
        assert second.status_code == 403
        assert COOKIE not in late.cookies
        again = client.post("/enter", data={"token": token, "form": form_token(client, "/enter")})
        assert again.status_code == 303  # who is signed in already just goes on


def test_a_link_grows_old(server: Server) -> None:
    token = server.link("late", "viewer")
    with server.records.begin() as connection:
        old = {"created_at": wall_ms() - 8 * 86_400_000}
        connection.execute(update(invitations).where(invitations.c.token_hash == fingerprint(token)).values(old))
    with server.stranger() as client:
        assert client.post("/enter", data={"token": token, "form": form_token(client, "/enter")}).status_code == 403


def test_no_token_is_stored(server: Server) -> None:
    token = server.link("stored", "viewer")
    with server.client() as client, server.records.connect() as connection:
        kept = {row[0] for table in (invitations, sessions) for row in connection.execute(select(table.c.token_hash))}
        assert token not in kept
        assert fingerprint(token) in kept
        session = client.cookies[COOKIE].partition(".")[0]
        assert session not in kept
        assert fingerprint(session) in kept


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", "evil"])
def test_the_way_on_stays_on_this_site(server: Server, dispatcher: str, target: str) -> None:
    with server.stranger() as client:
        assert sign_in(client, dispatcher, PASSWORD, next=target).headers["location"] == "/"


def test_a_new_password_ends_the_other_sessions(server: Server) -> None:
    with server.client("engineer") as client, server.stranger() as elsewhere:
        name = client.get("/account").text.split("<h1>", 1)[1].split("</h1>", 1)[0]
        elsewhere.cookies.set(COOKIE, client.cookies[COOKIE])
        form = form_token(client, "/account")
        for new, again in (("short", "short"), (PASSWORD, PASSWORD + "r"), ("x" * 300, "x" * 300)):
            assert client.post("/account", data={"form": form, "new": new, "again": again}).status_code == 400
        assert client.post("/account", data={"form": form, "new": PASSWORD, "again": PASSWORD}).status_code == 303
        assert client.get("/account?saved=1").status_code == 200
        form = form_token(client, "/account")
        refused = client.post("/account", data={"form": form, "current": "not it, surely", "new": PASSWORD * 2, "again": PASSWORD * 2})
        assert refused.status_code == 400
        with server.stranger() as back:
            assert sign_in(back, name, PASSWORD).status_code == 303


def test_signing_out_everywhere_ends_every_session(server: Server) -> None:
    with server.client("service") as one, server.stranger() as two:
        name = one.get("/account").text.split("<h1>", 1)[1].split("</h1>", 1)[0]
        token = server.link(name, "service")
        assert two.post("/enter", data={"token": token, "form": form_token(two, "/enter")}).status_code == 303
        assert one.post("/logout", data={"form": form_token(one, "/account"), "everywhere": "1"}).status_code == 303
        assert one.get("/").status_code == 401
        assert two.get("/").status_code == 401


def test_a_disabled_account_is_out_at_once_and_stays_out(server: Server) -> None:
    add_account(server.records, "gone", "viewer", PASSWORD, wall_ms())
    token = server.link("gone", "admin")
    with server.records.begin() as connection:
        connection.execute(update(accounts).where(accounts.c.name == "gone").values(disabled=True))
    with server.stranger() as client:
        assert sign_in(client, "gone", PASSWORD).status_code == 401
        assert client.post("/enter", data={"token": token, "form": form_token(client, "/enter")}).status_code == 403


def test_the_login_page_speaks_both_languages(server: Server) -> None:
    with server.stranger() as client:
        assert "密码" in client.get("/login").text
        assert "Password" in client.get("/login?lang=en").text
        assert "Password" in client.get("/login").text
