"""``keepwarm init FOLDER``: a site's folder to begin with, every setting and text with its default, every table with its columns."""

import json
import re
from importlib.resources import files
from pathlib import Path

import click

from domain.errors import ConfigError, Mistake
from domain.notice_texts import shipped_file
from keepwarm.output_file import write_whole
from store.site_folder.load import SITE_FILE, TABLES
from store.site_folder.notices import NOTICES_FILE

BYTE_ORDER_MARK = "\ufeff"  # or Excel takes UTF-8 for GBK


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Writes a site's FOLDER: site.toml with every setting and its default, the words of notices, and the tables with their columns.

    The folder is made, or is empty: nothing that is there is ever overwritten.
    """
    _make_empty(folder)
    for name, columns in TABLES.items():
        write_whole(folder / f"{name}.csv", f"{BYTE_ORDER_MARK}{','.join(columns.all)}\r\n".encode())
    write_whole(folder / NOTICES_FILE, notices_file().encode())
    write_whole(folder / SITE_FILE, site_file(folder.absolute().name).encode())
    click.echo(f"{folder}: fill in {SITE_FILE} and the tables, then: keepwarm check {folder}")


def site_file(name: str) -> str:
    """What site.toml says for a site of this name: all defaults, as comments."""
    quoted = json.dumps(name, ensure_ascii=False)[1:-1]  # a string of JSON is one of TOML
    return files("keepwarm").joinpath("site_template.toml").read_text(encoding="utf-8").replace('NAME"', f'{quoted}"')


def notices_file() -> str:
    """What notices.toml says to begin with: the shipped words, as comments."""
    return re.sub(r"(?m)^(?=\w+ = )", "#", shipped_file())


def _make_empty(folder: Path) -> None:
    """Raises ConfigError when something stands there, or nothing can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise ConfigError(Mistake(str(folder), f"can't be made a folder: {error.strerror}; give another")) from error
    if found:
        raise ConfigError(Mistake(str(folder), f"not empty ({found[0]} is there); a new site begins in a folder of its own"))
