"""The largest town that one ``collect`` holds on this machine, found by trying. Run: python -m benchmarks.largest_town

town × 1 ─▶ holds? × 2 ─▶ holds? × 4 … ─▶ the first that does not ─▶ between the two, halved until no time is left

A town holds while nothing is lost or doubled, no poll is left out, and 99 of 100 readings are committed 1.5 s after their receipt. The
outside world runs beside it on the same cores and is the limit, too: its CPU is stated apart. Ends by itself within ``--minutes``.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.collect import LARGE, POLL_S, ROOM_S, ROOM_VALUES, SETTLE_S, STATION_VALUES, Measured, Town, live

TRIAL_S: Final = 45.0
START_S: Final = 30.0  # until a town's processes are up, and until they have ended
MOST_WAIT_MS: Final = 1_500
FINEST: Final = 0.125  # of LARGE
LEAST_READ: Final = 0.97  # of what its devices have to say; a poll may fall on either end of the time
MINUTES: Final = 14.0  # the last trial may take a minute longer than it should


@dataclass(frozen=True)
class Trial:
    """A town of ``factor`` times LARGE; ``why`` it does not hold, empty where it does; None was measured where it did not even start."""

    factor: float
    measured: Measured | None
    why: str

    @property
    def holds(self) -> bool:
        """Whether all came through in time."""
        return not self.why


def town_of(factor: float) -> Town:
    """LARGE, so many times."""
    return Town(round(LARGE.stations * factor), round(LARGE.rooms * factor))


def expected(town: Town, seconds: float) -> float:
    """Readings that a town has in so many seconds."""
    return seconds * (town.stations * STATION_VALUES / POLL_S + town.rooms * ROOM_VALUES / ROOM_S)


def verdict(town: Town, measured: Measured) -> str:
    """Why a town does not hold; empty where it does."""
    share = measured.readings / expected(town, measured.seconds)
    lost = sum(measured.sent[kind] - measured.committed[kind] for kind in measured.sent)
    p99_ms = float(np.percentile(measured.waits_ms, 99)) if len(measured.waits_ms) else float("inf")
    found = (
        (lost != 0, f"{lost} lost"),
        (measured.doubled > 0, f"{measured.doubled} doubled"),
        (measured.overruns > 0, f"{measured.overruns} overruns"),
        (share < LEAST_READ, f"{100 * share:.0f} % read"),
        (p99_ms > MOST_WAIT_MS, f"p99 {p99_ms:.0f} ms"),
    )
    return ", ".join(words for wrong, words in found if wrong)


def tried(factor: float) -> Trial:
    """One trial on real protocols."""
    town = town_of(factor)
    try:
        measured = live(town, TRIAL_S)
    except (AssertionError, OSError, StopIteration, ValueError) as error:  # its processes were not up, or gone, in time
        return Trial(factor, None, f"did not start: {type(error).__name__} {error}".strip())
    return Trial(factor, measured, verdict(town, measured))


def search(attempt: Callable[[float], Trial], left_s: Callable[[], float], trial_s: float) -> Iterator[Trial]:
    """Doubles until a town does not hold, then halves between the largest that does and the smallest that does not."""
    holds, fails = 0.0, float("inf")
    factor = 1.0
    while left_s() > trial_s and fails - holds > FINEST:
        trial = attempt(factor)
        yield trial
        if trial.holds:
            holds = factor
        else:
            fails = factor
        factor = holds * 2 if fails == float("inf") else (holds + fails) / 2


def line(trial: Trial) -> str:
    """One row of the table."""
    town, measured = town_of(trial.factor), trial.measured
    head = f"{town.stations:>9} {town.rooms:>9}"
    if measured is None:
        return f"{head}   {trial.why}"
    p99_ms = np.percentile(measured.waits_ms, 99) if len(measured.waits_ms) else float("nan")
    figures = f"{measured.readings / measured.seconds:>9.0f} {p99_ms:>7.0f} {100 * measured.cpu_s / measured.seconds:>9.0f}"
    figures += f" {100 * measured.outside_cpu_s / measured.seconds:>9.0f} {measured.memory_mb:>7.0f} {measured.us_a_reading:>9.1f}"
    return f"{head} {figures}   {trial.why or 'holds'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    until = time.monotonic() + parser.parse_args().minutes * 60
    print(
        f"stations × {STATION_VALUES} values / {POLL_S:.0f} s, rooms × {ROOM_VALUES} / {ROOM_S / 60:.0f} min, {TRIAL_S:.0f} s each;"
        f" holds: 0 lost, 0 doubled, 0 overruns, p99 receipt to commit ≤ {MOST_WAIT_MS / 1000:g} s\n"
    )
    print(" stations     rooms  values/s  p99 ms  CPU % of CPU % out- memory µs CPU a\n", end="")
    print("                                       collect      side     MB     value", flush=True)
    best: Trial | None = None
    for trial in search(tried, lambda: until - time.monotonic(), TRIAL_S + SETTLE_S + START_S):
        print(line(trial), flush=True)
        if trial.holds and (best is None or trial.factor > best.factor):
            best = trial
    held = "none" if best is None else f"{town_of(best.factor).stations} stations and {town_of(best.factor).rooms} rooms"
    print(f"\nthe largest town held: {held}")


if __name__ == "__main__":
    main()
