"""A message's bytes as a document, and what stands where in it."""

import json
from typing import Final

import orjson

LARGEST_BYTES = 1_048_576

ABSENT: Final = object()

Path = tuple[str | int, ...]


class UnreadableError(ValueError):
    """A payload that can't be read at all; the message is the reason it is counted under."""


def parse(payload: bytes) -> object:
    """The document in a JSON payload: UTF-8, or else GB 18030; bare NaN and Infinity are taken.

    Raises UnreadableError.
    """
    if len(payload) > LARGEST_BYTES:
        raise UnreadableError("payload over 1 MiB")
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        pass
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            document: object = json.loads(payload.decode(encoding))
            json.dumps(document, ensure_ascii=False).encode()  # half a pair of surrogates is no text: it could be written nowhere
        except UnicodeDecodeError:
            continue
        except (ValueError, RecursionError):
            break
        return document
    raise UnreadableError("not JSON")


def path_of(text: str) -> Path:
    """The steps of a dotted path; a number is an index into a list. Empty for an empty text."""
    return tuple(int(step) if step.isdecimal() else step for step in text.split(".")) if text else ()


def find(document: object, path: Path) -> object:
    """What stands at this path of a document; ``ABSENT`` where nothing does."""
    for step in path:
        if type(document) is dict and type(step) is str:  # what it is nearly always
            document = document.get(step, ABSENT)
        elif isinstance(document, dict):
            document = document.get(step if isinstance(step, str) else str(step), ABSENT)
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        else:
            return ABSENT
    return document
