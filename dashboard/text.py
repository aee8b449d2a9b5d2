"""What people read, in their language: gettext, Chinese first. The message ids are the English texts.

The catalogue ``translations/zh.po`` is read at start; ``tests/dashboard/test_text.py`` proves it complete.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES: Mapping[str, str] = {"zh": "中文", "en": "English"}
DEFAULT_LANGUAGE = "zh"
CATALOGUES = Path(__file__).parent / "translations"


def N_(message: str) -> str:  # noqa: N802 — gettext's own name for "to be translated where it is shown"
    """Marks a message for the catalogue without translating it."""
    return message


@dataclass(frozen=True)
class Speech:
    """One language: ``_ = speech("zh")``, then ``_("Alarms")`` or ``_("{n} rooms", n=3)``."""

    language: str
    catalogue: NullTranslations

    def __call__(self, message: str, /, **values: object) -> str:
        """The message in this language, its ``{names}`` filled in."""
        text = self.catalogue.gettext(message) if message else ""
        return text.format(**values) if values else text

    def plural(self, one: str, many: str, n: int, /, **values: object) -> str:
        """The message for this number, which fills ``{n}``."""
        return self.catalogue.ngettext(one, many, n).format(n=n, **values)

    def pick(self, zh: str, en: str) -> str:
        """The fitting one of two texts that exist in both languages (names of quantities, notices)."""
        return (en or zh) if self.language == "en" else (zh or en)


@lru_cache(maxsize=8)
def speech(language: str) -> Speech:
    """The language of this code; Chinese for one we don't speak."""
    if language not in LANGUAGES:
        language = DEFAULT_LANGUAGE
    path = CATALOGUES / f"{language}.po"
    if not path.exists():
        return Speech(language, NullTranslations())
    compiled = BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return Speech(language, GNUTranslations(compiled))
