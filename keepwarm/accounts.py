"""``keepwarm accounts``: one-time links into a site's pages. Passwords are set on the page, never here."""

import subprocess
import sys
from pathlib import Path

import click

from domain.errors import ConfigError, Mistake, StoreError
from keepwarm.processes import site_argument


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
@click.option("--if-first", is_flag=True, help="Only where nobody has a password yet.")
def invite(folder: Path, name: str, *, role: str, page: str | None, if_first: bool) -> None:
    """Prints a link that signs NAME in once, within seven days; where there is no such account yet, it is made."""
    from sqlalchemy import select

    from dashboard.accounts import make_invitation, wall_ms
    from keepwarm.run import page_address
    from store.records import open_records, reading, tables
    from store.site_folder import load_site

    site = load_site(folder)
    engine = open_records(site.records_url or site.data / "records.db")
    try:
        with reading(engine).connect() as connection:
            secured = connection.execute(
                select(tables.accounts.c.name).where(tables.accounts.c.password_hash.is_not(None)).limit(1)
            ).first()
        if if_first and secured:
            return
        token = make_invitation(engine, name, role, wall_ms())
    except ValueError as error:
        raise ConfigError(Mistake("keepwarm accounts invite", str(error))) from error
    finally:
        engine.dispose()
    click.echo(f"{(page or page_address(site, site.dashboard_port)).rstrip('/')}/enter?token={token}")


def invitation(folder: Path, name: str, role: str, page: str, *, if_first: bool = False) -> str:
    """The link that ``keepwarm accounts invite`` prints, made in a process of its own: a supervisor need not hold the records' code.

    Empty when ``if_first`` is set and somebody has a password. Raises StoreError when the records can't be written.
    """
    command = [sys.executable, "-m", "keepwarm", "accounts", "invite", str(folder), name, "--role", role, "--page", page]
    answer = subprocess.run([*command, *(["--if-first"] if if_first else [])], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise StoreError(answer.stderr.strip() or "no link could be made")
    return answer.stdout.strip()
