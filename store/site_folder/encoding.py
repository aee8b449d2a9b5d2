"""Text as people's programs save it: UTF-8 with or without a mark, UTF-16 with one, GBK of a Chinese Excel."""

import codecs
import re
from collections.abc import Collection
from pathlib import Path

from domain.errors import ConfigError, Mistake

UTF_8 = "UTF-8"
_MARKS = ((codecs.BOM_UTF8, UTF_8), (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))
MARKED = tuple(mark for mark, encoding in _MARKS if encoding != UTF_8)  # how a file in UTF-16 or UTF-32 begins
# Two bytes of a Chinese encoding. In GBK nearly all that is written is of its older part GB 2312, characters or punctuation; what
# Big5 has in their place is kana, Greek and unassigned there.
_PAIR = re.compile(rb"[\x00-\x7f]|([\x81-\xfe][\x40-\xfe])")
_GB2312_LEADS = frozenset((*range(0xA1, 0xA4), *range(0xB0, 0xF8)))
_BIG5_LEADS = frozenset(range(0xA4, 0xC7))
_LIKELY_SHARE, _POSSIBLE_SHARE = 0.8, 0.5
_KANA = re.compile("[\u3041-\u30fa]")
_RUN_OF_HIGH = re.compile(rb"[\x80-\xff]{2}")


def read_bytes(path: Path, shown: str) -> bytes:
    """A file's bytes. ``shown`` is its name in messages.

    Raises ConfigError when it is missing or can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(Mistake(shown, "no such file")) from None
    except IsADirectoryError:
        raise ConfigError(Mistake(shown, "a folder; a file belongs here")) from None
    except OSError as error:
        raise ConfigError(Mistake(shown, f"can't be read: {(error.strerror or str(error)).lower()}")) from error


def decode(content: bytes, shown: str) -> str:
    """The text in a file's bytes, without the mark at its start.

    Raises ConfigError naming the encoding, as far as it can be told, when it is neither UTF-8, marked UTF-16 nor GBK.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding).removeprefix("\ufeff")
            except UnicodeDecodeError as error:
                raise ConfigError(_mistake(content, shown, error.start, f"is marked as {encoding} and is not")) from error
    try:
        text = content.decode(UTF_8)
    except UnicodeDecodeError as error:
        if _is_gbk(content):
            return content.decode("gb18030")  # which GBK is a part of
        raise ConfigError(_mistake(content, shown, error.start, f"is neither UTF-8 nor GBK{_looks_like(content)}")) from error
    if "\x00" in text:
        raise ConfigError(_mistake(content, shown, content.index(0), f"is no text{_looks_like(content)}"))
    return text


def _mistake(content: bytes, shown: str, position: int, fault: str) -> Mistake:
    return Mistake(shown, f'the file {fault}; save it as UTF-8 (Excel: "CSV UTF-8")', line=content.count(b"\n", 0, position) + 1)


def _is_gbk(content: bytes) -> bool:
    """Whether these bytes are Chinese in GBK: Latin and Japanese letters often decode as GBK too, but to rare characters."""
    share = _common_share(content, _GB2312_LEADS, 0xA1)
    return _decodes(content, "gb18030") is not None and share >= (_LIKELY_SHARE if _is_big5(content) else _POSSIBLE_SHARE)


def _is_big5(content: bytes) -> bool:
    return _decodes(content, "big5") is not None and _common_share(content, _BIG5_LEADS, 0x40) >= _LIKELY_SHARE


def _decodes(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _common_share(content: bytes, leads: Collection[int], trail: int) -> float:
    """The share of two-byte characters whose first byte is one of ``leads`` and whose second is at least ``trail``."""
    pairs = [pair for pair in _PAIR.findall(content) if pair]
    common = sum(1 for pair in pairs if pair[0] in leads and pair[1] >= trail)
    return common / len(pairs) if pairs else 1.0


def _looks_like(content: bytes) -> str:
    """What the encoding seems to be, to be put behind the fault; empty when nobody can tell."""
    japanese = _decodes(content, "shift_jis")
    if b"\x00" in content:
        name = "UTF-16 without its mark" if content.count(0) > len(content) // 8 else ""
    elif japanese is not None and _KANA.search(japanese):
        name = "Shift JIS"
    elif _is_big5(content):
        name = "Big5"
    elif not _RUN_OF_HIGH.search(content):
        name = "Windows-1252"
    else:
        name = _guessed(content)
    return f" (it looks like {name})" if name else ""


def _guessed(content: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(content[:100_000]).best()
    return "" if best is None else best.encoding
