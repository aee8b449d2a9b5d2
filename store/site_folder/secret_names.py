"""How a site's files name a secret, which itself never stands in them."""

from pathlib import Path

NAME_FORM = "the name of a secret, env:NAME or file:PATH; the secret itself never stands in the site folder"


def is_secret_name(text: str) -> bool:
    """Whether this names a secret (``env:NAME``, ``file:PATH``)."""
    kind, _, name = text.partition(":")
    return kind in ("env", "file") and bool(name)


def absolute_secret(name: str, folder: Path) -> str:
    """The same secret, a relative ``file:PATH`` made absolute against the folder of the file that names it."""
    if not name.startswith("file:"):
        return name
    return f"file:{(folder / name.removeprefix('file:')).absolute()}"
