"""``keepwarm accounts``: one-time links into a site's pages. Passwords are set on the page, never here."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from domain.errors import ConfigError, Mistake, StoreError
from keepwarm.processes import site_argument

if TYPE_CHECKING:  # loaded late, with the records
    from sqlalchemy import Engine

    from domain.site import Site

COMMAND: Final = "keepwarm accounts"  # who did it, in the audit


@click.group()
def accounts() -> None:
    """Lets people into a site's pages."""


@accounts.command()
@site_argument
@click.argument("name")
@click.option(
    "--role", default="viewer", show_default=True, help="What a new account may do: viewer, dispatcher, engineer, service, admin."
)
@click.option("--page", help="The page's address as the invited person sees it; the site's own where left out.")
@click.option("--district", "districts", multiple=True, help="A new account sees only this; once for each. Default: the whole site.")
@click.option("--if-first", is_flag=True, help="Only where nobody has a password yet.")
def invite(folder: Path, name: str, *, role: str, page: str | None, districts: tuple[str, ...], if_first: bool) -> None:
    """Prints a link that signs NAME in once, within seven days; where there is no such account yet, it is made."""
    from sqlalchemy import select

    from dashboard.accounts import make_invitation, wall_ms
    from keepwarm.run import page_address
    from store.records import reading, records_of, tables
    from store.site_folder import load_site

    site = load_site(folder)
    try:
        with records_of(site) as engine:
            with reading(engine).connect() as connection:
                secured = connection.execute(
                    select(tables.accounts.c.name).where(tables.accounts.c.password_hash.is_not(None)).limit(1)
                ).first()
            if if_first and secured:
                return
            token = make_invitation(engine, name, role, wall_ms(), known_districts(site, districts))
    except ValueError as error:
        raise ConfigError(Mistake("keepwarm accounts invite", str(error))) from error
    click.echo(f"{(page or page_address(site, site.dashboard_port)).rstrip('/')}/enter?token={token}")


@accounts.command("list")
@site_argument
def list_(folder: Path) -> None:
    """Lists the accounts of SITE: name, role, whether it has a password or is disabled."""
    from sqlalchemy import select

    from store.records import reading, tables

    with _records(folder) as engine, reading(engine).connect() as connection:
        for row in connection.execute(select(tables.accounts).order_by(tables.accounts.c.name)):
            states = [word for word, true in (("disabled", row.disabled), ("no password yet", row.password_hash is None)) if true]
            click.echo("  ".join([row.name, row.role, *([",".join(row.districts)] if row.districts else []), *states]))


@accounts.command()
@site_argument
@click.argument("name")
@click.argument("role")
def role(folder: Path, name: str, role: str) -> None:
    """Gives the account NAME another ROLE, from its next request on."""
    _changed(folder, name, {"role": role})


@accounts.command()
@site_argument
@click.argument("name")
@click.argument("districts", nargs=-1)
def districts(folder: Path, name: str, districts: tuple[str, ...]) -> None:
    """Limits the account NAME to these DISTRICTS of the stations; to none of them: it sees the whole site again."""
    from store.site_folder import load_site

    _changed(folder, name, {"districts": known_districts(load_site(folder), districts)})


@accounts.command()
@site_argument
@click.argument("name")
@click.argument("subject", default="")
def identity(folder: Path, name: str, subject: str) -> None:
    """Connects the account NAME with the SUBJECT (claim sub) that the site's OpenID Connect provider signs in; without one: with nobody."""
    from dashboard.accounts import connect_identity, wall_ms
    from dashboard.openid.provider import identity_of
    from store.site_folder import load_site

    openid = load_site(folder).openid
    if openid is None:
        raise ConfigError(
            Mistake("site.toml", "the site names no provider; a table [openid] with issuer, client_id and page does", key="openid")
        )
    with _records(folder) as engine:
        try:
            connect_identity(engine, name, identity_of(openid.issuer, subject) if subject else None, COMMAND, wall_ms())
        except ValueError as error:
            raise ConfigError(Mistake("keepwarm accounts", str(error), value=name)) from error
    click.echo(f"{name}: {f'signs in as {subject} of {openid.issuer}' if subject else 'connected with nobody'}")


@accounts.command()
@site_argument
@click.argument("name")
@click.option("--again", is_flag=True, help="Let it in again.")
def disable(folder: Path, name: str, *, again: bool) -> None:
    """Shuts the account NAME out at once, on every device."""
    _changed(folder, name, {"disabled": not again})


@accounts.command()
@site_argument
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="What it may do: read, complaints, curves, notices, alarms, stops, metrics; once for each. Default: read.",
)
@click.option("--district", "districts", multiple=True, help="It sees this district only; once for each. Default: the whole site.")
@click.option("--revoke", is_flag=True, help="End the key instead.")
def key(folder: Path, name: str, *, scopes: tuple[str, ...], districts: tuple[str, ...], revoke: bool) -> None:
    """Makes a key to the REST API for the system NAME and prints it, this once."""
    from dashboard.accounts import wall_ms
    from dashboard.api.keys import make_key, revoke_key
    from store.site_folder import load_site

    with _records(folder) as engine:
        if revoke:
            if not revoke_key(engine, name, COMMAND, wall_ms()):
                raise ConfigError(Mistake("NAME", "no key of this name is in force; keepwarm accounts keys lists them", value=name))
            click.echo(f"{name}: revoked")
            return
        try:
            limits = known_districts(load_site(folder), districts)
            click.echo(make_key(engine, name, scopes or ("read",), COMMAND, wall_ms(), limits))
        except ValueError as error:
            raise ConfigError(Mistake("keepwarm accounts key", str(error))) from error


@accounts.command()
@site_argument
def keys(folder: Path) -> None:
    """Lists the keys to the REST API: name, scopes, when made, by whom, when last used."""
    from dashboard.api.keys import list_keys
    from domain.clock import iso

    with _records(folder) as engine:
        for one in list_keys(engine):
            used = f"used {iso(one.used_at)}" if one.used_at else "never used"
            ended = [f"revoked {iso(one.revoked_at)}"] if one.revoked_at else []
            click.echo("  ".join([one.name, ",".join(one.scopes), f"made {iso(one.created_at)} by {one.created_by}", used, *ended]))


def known_districts(site: "Site", districts: tuple[str, ...]) -> list[str]:
    """These districts. Raises ConfigError for one that no station of the site stands in."""
    from domain.reach import districts_of

    known = districts_of(site)
    strange = next((one for one in districts if one not in known), None)
    if strange is not None:
        raise ConfigError(Mistake("--district", f"a district of stations.csv: {', '.join(known) or 'it names none'}", value=strange))
    return sorted(set(districts))


def _changed(folder: Path, name: str, values: dict[str, object]) -> None:
    from dashboard.accounts import change_account, wall_ms

    with _records(folder) as engine:
        try:
            change_account(engine, name, values, COMMAND, wall_ms())
        except ValueError as error:
            raise ConfigError(Mistake("keepwarm accounts", str(error), value=name)) from error
    click.echo(f"{name}: {', '.join(f'{key} {value}' for key, value in values.items())}")


@contextmanager
def _records(folder: Path) -> "Iterator[Engine]":
    from store.records import records_of
    from store.site_folder import load_site

    with records_of(load_site(folder)) as engine:
        yield engine


def invitation(folder: Path, name: str, role: str, page: str, *, if_first: bool = False) -> str:
    """The link that ``keepwarm accounts invite`` prints, made in a process of its own: a supervisor need not hold the records' code.

    Empty when ``if_first`` is set and somebody has a password. Raises StoreError when the records can't be written.
    """
    command = [sys.executable, "-m", "keepwarm", "accounts", "invite", str(folder), name, "--role", role, "--page", page]
    answer = subprocess.run([*command, *(["--if-first"] if if_first else [])], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise StoreError(answer.stderr.strip() or "no link could be made")
    return answer.stdout.strip()
