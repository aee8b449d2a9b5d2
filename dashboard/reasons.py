"""Why a source, a channel or a store fails, in the reader's language: the class of the reason says what to do, its own words stand behind.

``no connection: connection refused`` ─▶ the first class whose pattern is found in it ─▶ 拒绝连接：… and, small, the collector's own words
"""

import re
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from dashboard.text import N_, Speech
from dashboard.words import SOURCE_COUNT

Classes = Sequence[tuple[re.Pattern[str], str]]
TECHNICAL: Final = Markup('{} <span class="kw-muted" lang="en">{}</span>')


def _classes(*rows: tuple[str, str]) -> Classes:
    return [(re.compile(pattern, re.IGNORECASE), message) for pattern, message in rows]


# Named groups of a pattern fill the message. The first that fits counts, so that what is said more exactly stands higher.
SOURCE: Final = _classes(
    (r"^no reply within (?P<n>[\d.]+) s$", N_("no reply within {n} s")),
    (r"^no connection within (?P<n>[\d.]+) s$", N_("not reached within {n} s: is it on, is the network there?")),
    (r"client_id|taken over", N_("another client uses our name (client_id): each needs its own")),
    (r"broker refuses what we subscribe", N_("the broker forbids our topics: let it allow them")),
    (r"without an answer", N_("the broker hangs up without an answer: do port and encryption fit?")),
    (r"not trusted", N_("its certificate is not trusted yet: an administrator does that with “keepwarm trust”")),
    (r"certificate|\btls\b|\bssl\b", N_("certificates do not fit: expired, or made for another name?")),
    (r"holds a secret|a secret is named", N_("its password is not set on this machine")),
    (
        r"bad ?user|password|not authori[sz]ed|access ?denied|identity ?token|authentication",
        N_("user or password is refused"),
    ),
    (r"without security|does not offer|security|endpoint", N_("its security does not fit our setting")),
    (r"connection refused|connect call failed|errno 111", N_("it refuses the connection: is its service running, is the port right?")),
    (r"no route to host|unreachable|host is down|errno 113|errno 101", N_("no way to it: check network, router and address")),
    (r"name or service|name resolution|nodename|getaddrinfo", N_("its name is not known: check the address or the name server")),
    (r"is not host:port", N_("its address must read host:port")),
    (r"permission denied", N_("we may not open the port: its rights must be set")),
    (r"no such file|could not open port", N_("the port is not there: is the adapter plugged in?")),
    (r"^exception (?:10|11)\b", N_("the gateway does not reach the device: check its power and the bus")),
    (r"^exception 6\b", N_("the device is busy")),
    (r"^exception 4\b", N_("the device reports a fault of its own")),
    (r"^exception \d+|can't be asked for", N_("it can't give these values: do profile and device fit?")),
    (r"answered for unit|^reply of|checksum|after the end|no modbus|not a modbus", N_("wrong or garbled replies: is the line disturbed, are two devices of one number?")),  # noqa: E501
    (r"namespace|node ids|values came for|BadNode", N_("its nodes are not those of the profile")),
    (r"subscription|subscribe", N_("its subscription says nothing any more; it is made anew")),
    (r"timed out|time-?out|in time|errno 110", N_("it does not answer in time: check power, line and address")),
    (r"^not connected", N_("not connected yet")),
    (r"^refused", N_("the broker refuses us")),
    (r"lost|closed|reset by peer|broken pipe|disconnected|errno 104|errno 32", N_("the connection was lost")),
    (r"no connection", N_("no connection")),
)  # fmt: skip
CHANNEL: Final = _classes(
    (r"^(?:HTTP 2\d\d|taken)$", N_("taken")),
    (r"^HTTP 2\d\d, code (?P<n>-?\d+)", N_("the service refuses it with its code {n}")),
    (r"HTTP 40[13]\b|HTTP 407", N_("the service does not let us in: check key or password")),
    (r"HTTP 404|HTTP 410", N_("there is nothing at this address: check it")),
    (r"HTTP 429", N_("too many messages at once; tried again later")),
    (r"HTTP 3\d\d", N_("the address has moved: enter the new one")),
    (r"HTTP 408|HTTP 425|HTTP 5\d\d", N_("the service has a fault; tried again later")),
    (r"HTTP 4\d\d", N_("the service refuses the message")),
    (r"SMTP 53[045]|SMTP 454", N_("the mail server does not let us in: check user and password")),
    (r"SMTP 5\d\d", N_("the mail server refuses the message")),
    (r"SMTP 4\d\d", N_("the mail server takes nothing now; tried again later")),
    (r"no address that apprise|no http or https", N_("the channel's address is wrong")),
    (r"template", N_("the channel's template can't be filled in")),
    (r"can't be reached", N_("not reached, or not taken; tried again later")),
    (r"holds a secret|a secret is named", N_("its password is not set on this machine")),
)
STORE: Final = _classes(
    (r"\b40[13]\b|access denied|unauthori[sz]ed|forbidden", N_("it does not let us in: check user and password")),
    (r"certificate|\btls\b|\bssl\b", N_("certificates do not fit: expired, or made for another name?")),
    (r"connection refused|errno 111", N_("it refuses the connection: is its service running, is the port right?")),
    (r"no route to host|unreachable|host is down|errno 113|errno 101", N_("no way to it: check network, router and address")),
    (r"name or service|name resolution|getaddrinfo", N_("its name is not known: check the address or the name server")),
    (r"no space left|disk is full|errno 28", N_("the disk is full")),
    (r"permission denied|read-?only|errno 13", N_("we may not write there: its rights must be set")),
    (r"\b(?:429|5\d\d)\b", N_("it is overloaded or has a fault; tried again later")),
    (r"timed out|time-?out|longer than|errno 110", N_("it does not answer in time: check power, line and address")),
)


def told(say: Speech, classes: Classes, reason: str) -> Markup:
    """The class of a reason in words and, small, the reason's own words; these alone where no class fits. HTML, escaped."""
    for pattern, message in classes:
        found = pattern.search(reason)
        if found is not None:
            words = say(message, **found.groupdict())
            whole = found.groupdict() or say(message) == reason
            return Markup("{}").format(words) if whole else TECHNICAL.format(words, reason)
    return Markup("{}").format(reason)


def counted(say: Speech, name: str) -> Markup:
    """What a collector counts, in words; one that has no name of its own (a topic refused, a certificate that ends) by its class."""
    return Markup("{}").format(say(SOURCE_COUNT[name])) if name in SOURCE_COUNT else told(say, SOURCE, name)
