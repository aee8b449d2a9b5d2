"""The nearest word to one that is not known."""

from collections.abc import Collection
from difflib import get_close_matches

_SHOWN = 12
_COMPARED = 2000  # comparing takes milliseconds by then, and a town may have as many wrong rows


def nearest(word: str, known: Collection[str]) -> str:
    """What to write instead, as the end of a sentence: the nearest known word, or all of them while they are few."""
    if len(known) > _COMPARED:
        return f"it is none of the {len(known)} known"
    words = [other for other in known if other]
    as_written = {other.lower(): other for other in reversed(words)}
    close = get_close_matches(word.strip().lower(), as_written, n=1, cutoff=0.6)
    if close:
        return f"the nearest known is {as_written[close[0]]}"
    if not words:
        return "none is known"
    rest = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return f"known: {', '.join(words[:_SHOWN])}{rest}"
