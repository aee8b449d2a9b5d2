"""What one field of a payload comes to: a number with its quality, as devices and edge boxes write them."""

from dataclasses import dataclass
from typing import Final

from collector.document import ABSENT, Path, path_of
from collector.scaling import split_scale
from domain.profile import Field
from domain.quantity import parse_point, quantity
from domain.reading import Quality

NAN: Final = float("nan")
_WHOLE = 2**53  # whole numbers below it are floats without loss
_GOOD_WORDS = frozenset({"good", "ok", "normal", "valid", "正常", "良好"})
_UNCERTAIN_WORDS = frozenset({"uncertain", "suspect", "questionable", "可疑"})


@dataclass(frozen=True)
class FieldReader:
    """How one field is read: what holds it and its last step, from the document and from an item of ``history``."""

    field: Field
    holder: Path
    last: str | int
    in_history: tuple[Path, str | int] | None
    multiplier: float
    divisor: float
    truth: bool
    temperature: bool
    plain: bool


def is_point(name: str) -> bool:
    """Whether this is the name of one of our own points."""
    try:
        quantity(parse_point(name).quantity)
    except (KeyError, ValueError):
        return False
    return True


def reader_of(one: Field, history_parent: Path) -> FieldReader:
    """The reader of a profile's field; ``history_parent`` is what the items of ``history`` stand beside."""
    path = path_of(one.path)
    inside = path[: len(history_parent)] == history_parent
    try:
        unitless = quantity(one.quantity).unit == ""
    except KeyError:
        unitless = False
    multiplier, divisor = split_scale(one.scale)
    return FieldReader(
        one,
        path[:-1],
        path[-1],
        (path[len(history_parent) : -1], path[-1]) if inside and len(path) > len(history_parent) else None,
        multiplier,
        divisor,
        plain=multiplier == divisor == 1.0 and not one.add,
        truth=unitless,
        temperature=one.quantity.endswith("_temp_c"),
    )


def read_number(reader: FieldReader, raw: object, *, fahrenheit: bool = False) -> tuple[float, int]:
    """The field's quantity in what the payload says, and its quality. ``fahrenheit``: the payload's temperatures are in that."""
    if type(raw) is float or (type(raw) is int and abs(raw) < _WHOLE):  # what it is nearly always
        value, quality = float(raw), 0
    else:
        value, quality = number_of(raw, truth=reader.truth)
    if reader.field.sentinels and value in reader.field.sentinels:
        return value, Quality.SENTINEL
    if not reader.plain:
        value = value * reader.multiplier / reader.divisor + reader.field.add
    return ((value - 32) / 1.8 if fahrenheit and reader.temperature else value), quality


def number_of(raw: object, *, truth: bool) -> tuple[float, int]:
    """A number as payloads write it, or NaN with the reason. Truth values are numbers only where the quantity has no unit."""
    if isinstance(raw, bool) and not truth:
        return NAN, Quality.DECODE
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return NAN, Quality.NOT_A_NUMBER
    if isinstance(raw, str | int | float) and not (isinstance(raw, str) and "_" in raw):
        try:
            return float(raw), Quality.GOOD
        except (ValueError, OverflowError):
            pass
    return NAN, Quality.DECODE


def said_quality(word: object) -> int:
    """A point's quality as an edge box says it: words, truth values, or the numbers of OPC (192 and above good, 64 uncertain)."""
    if word is ABSENT or word is None or word is True:
        return Quality.GOOD
    if isinstance(word, str) and not word.strip().isdecimal():
        text = word.strip().lower()
        return Quality.GOOD if text in _GOOD_WORDS else Quality.SUSPECT if text in _UNCERTAIN_WORDS else Quality.BAD
    number, _ = number_of(word, truth=True)
    return Quality.GOOD if number >= 192 else Quality.SUSPECT if 64 <= number < 128 else Quality.BAD
