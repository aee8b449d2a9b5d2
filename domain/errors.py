"""One exception per situation that a caller treats differently."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One mistake in what a person wrote: where it is, what was found, what would be right."""

    file: str
    remedy: str
    line: int | None = None
    key: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [where]
        if self.key is not None:
            parts.append(self.key if self.key.isprintable() else repr(self.key))  # no escape sequence reaches a terminal
        found = "" if self.value is None else f" {self.value!r}:"
        return f"{': '.join(parts)}:{found} {self.remedy}"


class KeepwarmError(Exception):
    """The root of all errors that Keepwarm raises on purpose."""


class ConfigError(KeepwarmError):
    """Wrong usage or input: stop, show every mistake in a line of its own, exit with 2."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class SourceError(KeepwarmError):
    """A device or broker can't be read now: count it, try again later."""


class StoreError(KeepwarmError):
    """A store can't take or give data now: keep the data, try again after ``retry_after_s``.

    ``refused`` means that trying again will not help by itself: access is denied or a setting is wrong, and a person must act.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, refused: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.refused = refused


class DeliveryError(KeepwarmError):
    """A channel did not take a message; ``permanent`` means that trying again can't help, ``retry_after_s`` is how long it asks to wait."""

    def __init__(self, message: str, *, permanent: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_s = retry_after_s
