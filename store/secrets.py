"""Secrets by name: from the environment or from a file, never from the site folder's tables."""

import os
from pathlib import Path

from domain.errors import ConfigError, Mistake


def secret(name: str) -> str:
    """The secret called ``env:NAME`` or ``file:PATH`` (its content without the line end); an empty name is an empty secret.

    Raises ConfigError when there is none; no message shows a secret.
    """
    if not name:
        return ""
    kind, _, where = name.partition(":")
    if kind == "env":
        found = os.environ.get(where)
        if found is None:
            raise ConfigError(Mistake(name, "this environment variable holds a secret and is not set"))
        return found
    if kind == "file":
        try:
            return Path(where).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            fault = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(Mistake(name, f"this file holds a secret and can't be read: {(fault or 'error').lower()}")) from error
    raise ConfigError(Mistake("secret", "a secret is named env:NAME or file:PATH; it never stands there itself"))
