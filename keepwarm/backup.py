"""``keepwarm backup SITE FILE`` and ``keepwarm restore SITE FILE``: all that a site has stored, in one file."""

import os
from pathlib import Path

import click

from domain.errors import ConfigError, Mistake
from domain.site import Site
from keepwarm.logs import warn_only
from keepwarm.output_file import check_writable, whole_file
from keepwarm.processes import only_one, site_argument
from keepwarm.progress import progress_line

file_argument = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))


@click.command()
@site_argument
@file_argument
def backup(folder: Path, file: Path) -> None:
    """Writes journal, history, records, points, keys and the folder of SITE to FILE. SITE may run meanwhile.

    FILE holds keys: only its owner may read it.
    """
    from store.backup import back_up
    from store.site_folder import load_site

    warn_only()
    check_writable(file)
    site = load_site(folder)
    if site.data.absolute() in file.absolute().parents:
        raise ConfigError(Mistake(str(file), "lies in the data folder, and would be lost with it; name another place"))
    site.data.mkdir(parents=True, exist_ok=True)
    with only_one(site.data / "health" / "backup.lock", "keepwarm backup", wait_s=0), progress_line() as tell, whole_file(file) as sink:
        os.fchmod(sink.fileno(), 0o600)
        members = back_up(site.data, site.folder, sink, tell)
    click.echo(f"{len(members)} files, {sum(member.size for member in members)} bytes, in {file}")
    for line in elsewhere(site):
        click.echo(f"note: {line}", err=True)


@click.command()
@site_argument
@file_argument
def restore(folder: Path, file: Path) -> None:
    """Puts what FILE holds into the data folder of SITE, which must be empty; whole or not at all.

    Where SITE has no site.toml, the files of its folder are put back as well.
    """
    from store.backup import restore as put_back
    from store.site_folder import load_site
    from store.site_folder.load import SITE_FILE

    warn_only()
    known = load_site(folder).data.absolute() if (folder / SITE_FILE).exists() else None
    with progress_line() as tell:
        data, count = put_back(file, known, folder.absolute(), tell)
    click.echo(f"{count} files restored into {data}; look at the site with: keepwarm check {folder}")


def elsewhere(site: Site) -> list[str]:
    """What of this site a backup does not hold, because it stands elsewhere."""
    notes = []
    if site.stores.history != "parquet":
        notes.append(
            f"the history is in {site.stores.history} and not in this file: use its own backup, "
            "or copy it first with: keepwarm history migrate SITE --to parquet"
        )
    if site.records_url:
        notes.append("the records (records_url) are in a database of their own and not in this file: use its own backup, such as pg_dump")
    return notes
