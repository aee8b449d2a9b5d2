"""HTML from templates: escaped by default, in the reader's language."""

import re
from collections.abc import Mapping
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup, escape

from dashboard.reasons import CHANNEL, SOURCE, STORE, counted, told
from dashboard.text import Speech, speech
from dashboard.words import WORDS, alarm_bits
from domain.quantity import quantity

FOLDER = Path(__file__).parent
ASSETS = FOLDER / "assets"
ICON: Final = Markup('<svg class="kw-icon" aria-hidden="true" focusable="false"><use href="/assets/icons.svg?v={}#{}"></use></svg>')
LINK: Final = Markup('href="/{0}" data-open="{0}" data-key="{0}"')
FIXED_WORDS: Final = re.compile(r'{{ _\("([^"{}\\]+)"\) }}')
FIXED_ICON: Final = re.compile(r'{{ icon\("([\w-]+)"\) }}')


@lru_cache(maxsize=1)
def assets_version() -> str:
    """Changes with every change of our own assets, so that browsers may keep them for long."""
    digest = sha256()
    for path in sorted(ASSETS.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class SaidOnce(Extension):
    """Words and icons that stand fixed in a template are put there when it is compiled, not at every rendering."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The template with its fixed words in the environment's language."""
        del name, filename
        say: Speech = self.environment.said_in  # type: ignore[attr-defined]
        return FIXED_ICON.sub(lambda found: icon_svg(found[1]), FIXED_WORDS.sub(lambda found: escape(say(found[1])), source))


@lru_cache(maxsize=256)
def icon_svg(name: str) -> Markup:
    """An icon of ``assets/icons.svg``."""
    return ICON.format(assets_version(), name)


@lru_cache(maxsize=1024)
def link_to(address: str) -> Markup:
    """The attributes of a link that the panel opens without loading anew; without scripts it is an ordinary link."""
    return LINK.format(address)


@lru_cache(maxsize=8)
def templates(language: str) -> Environment:
    """The templates in one language. Everything put into them is escaped; a missing name is an error."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=[SaidOnce],
    )
    environment.said_in = say = speech(language)  # type: ignore[attr-defined]
    names = {
        "quantity_name": partial(_quantity_name, say),
        "sign_name": partial(_sign_name, say),
        "sign_value": partial(_sign_value, say),
        "source_reason": partial(told, say, SOURCE),
        "count_name": partial(counted, say),
        "channel_answer": partial(told, say, CHANNEL),
        "store_reason": partial(told, say, STORE),
    }
    environment.globals |= {"quantity_value": _quantity_value, "icon_svg": icon_svg, "link_to": link_to, "is_running": is_running}
    environment.filters["grouped"] = _grouped
    environment.globals.update(WORDS, **names, _=say, language=say.language, version=assets_version())
    return environment


def html(template: str, language: str, **values: object) -> str:
    """The HTML of a template."""
    return templates(language).get_template(template).render(**values)


def _quantity_name(say: Speech, name: str) -> str:
    """What a quantity is called; its name in the program where it is none of ours."""
    try:
        found = quantity(name)
    except KeyError:
        return name
    return say.pick(found.zh, found.en)


def _grouped(number: int) -> str:
    """A count with narrow spaces between thousands: ``88 990``."""
    return f"{number:,}".replace(",", "\u202f")


def _quantity_value(name: str, value: float) -> str:
    """A number with the decimals and the unit of its quantity."""
    try:
        found = quantity(name)
    except KeyError:
        return f"{value:g}"
    return f"{value:.{found.decimals}f} {found.unit}".rstrip().replace("-", "−")


def is_running(name: str) -> bool:
    """Whether a quantity says that something runs (1) or stands (0)."""
    return name.endswith("_running")


def _sign_name(say: Speech, sign: Mapping[str, object]) -> str:
    """What a sign of an outage's cause is about: a quantity, the link, or a station of the source."""
    if "station" in sign:
        return str(sign["station"])
    name = str(sign.get("quantity", ""))
    return say("Link") if name == "comm" else _quantity_name(say, name)


def _sign_value(say: Speech, sign: Mapping[str, object]) -> str:
    """What a sign showed, with the decimals and the unit of its quantity; the set bits of an alarm word in words."""
    value = sign.get("value", "")
    try:
        if is_running(str(sign.get("quantity", ""))):
            return say("runs") if float(str(value)) else say("stands still")
        if sign.get("quantity") == "alarm_word":
            return "、".join(say(message) for message in alarm_bits(float(str(value)))) or str(value)
        what = quantity(str(sign.get("quantity", "")))
        return f"{float(str(value)):.{what.decimals}f} {what.unit}".strip().replace("-", "−")
    except (KeyError, ValueError):
        return str(value)
