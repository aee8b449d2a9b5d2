"""Starts the processes of one site, starts again the one that died, and leaves none behind.

supervisor ──stdin──▶ simulate  collect  watch  dashboard      each in a session of its own, output in DATA/logs/
    │ tend(): one look at every child, five times a second
    └ stop(): SIGTERM to all, SIGKILL to their groups after STOP_S
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType

from domain.errors import ConfigError, Mistake

STOP_S = 3.0  # from SIGTERM to SIGKILL; everything has ended within 5 s of Ctrl-C
LOOK_S = 0.2
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # before a child is started again, the longer the oftener it died
SOUND_S = 60.0  # a child that ran this long begins again with the first pause
REFUSED = 2  # the exit code for wrong use or input: starting again can't help
OUTPUT_BYTES = 1_000_000


@dataclass(frozen=True)
class Child:
    """One process: its name, its command line, and the open sockets it inherits."""

    name: str
    command: tuple[str, ...]
    sockets: tuple[int, ...] = ()


def keepwarm_child(name: str, *arguments: str, sockets: tuple[int, ...] = (), mark: str = "") -> Child:
    """A child that runs ``keepwarm NAME ARGUMENTS``, guarded, logging to a file; ``mark`` tells it from those of other nodes."""
    return Child(f"{name}{mark}", (sys.executable, "-m", "keepwarm", name, *arguments, "--supervised"), sockets)


class _Running:
    """One child as it runs now, or waits to be started again."""

    def __init__(self, child: Child, output: Path) -> None:
        self.child = child
        self.output = output
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_again_at = 0.0
        self.deaths = 0

    def start(self, environment: Mapping[str, str]) -> None:
        too_long = self.output.exists() and self.output.stat().st_size > OUTPUT_BYTES
        with self.output.open("wb" if too_long else "ab") as output:
            self.process = subprocess.Popen(
                self.child.command,
                stdin=subprocess.PIPE,  # held open: its end is the sign that the supervisor is gone
                stdout=output,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
                pass_fds=self.child.sockets,
            )
        self.started_at = time.monotonic()

    def has_ended(self) -> bool:
        """Whether the child has ended. It is not reaped here: until it is, its number can't become another process's."""
        assert self.process is not None
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def signal_group(self, number: signal.Signals) -> None:
        """To everything in the child's session, also when the child itself has ended and left something."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def bury(self) -> int:
        """Ends what is left of the child and its session; gives its exit code, negative for a signal."""
        assert self.process is not None
        self.signal_group(signal.SIGKILL)
        code = self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None
        return code

    def last_line(self) -> str:
        """The last line the child wrote: what it died of."""
        with self.output.open("rb") as output:
            output.seek(max(0, self.output.stat().st_size - 4096))
            lines = output.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Supervisor:
    """The processes of one site. ``say`` prints a line for the person who watches; ``logs`` is DATA/logs."""

    def __init__(self, logs: Path, say: Callable[[str], None], environment: Mapping[str, str] | None = None) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._say = say
        self._environment = {**os.environ, **(environment or {})}
        self._all: list[_Running] = []

    def start(self, *children: Child) -> None:
        """Starts these children; from now on they are tended."""
        for child in children:
            one = _Running(child, self._logs / f"{child.name}.out")
            one.start(self._environment)
            self._all.append(one)

    def pids(self) -> dict[str, int]:
        """Name → process id of the children that run now."""
        return {one.child.name: one.process.pid for one in self._all if one.process is not None}

    def tend(self) -> bool:
        """One look at every child: notes who died, starts whose pause is over. Tells whether there was work.

        Raises ConfigError when a child refuses its input: starting it again can't help.
        """
        worked = False
        for one in self._all:
            worked |= self._look_at(one)
        return worked

    def _look_at(self, one: _Running) -> bool:
        now = time.monotonic()
        if one.process is None:
            if now < one.start_again_at:
                return False
            one.start(self._environment)
            return True
        if not one.has_ended():
            return False
        code = one.bury()
        if code == REFUSED:
            raise ConfigError(Mistake(f"keepwarm {one.child.name}", one.last_line()))
        one.deaths = 1 if now - one.started_at > SOUND_S else one.deaths + 1
        pause_s = PAUSES_S[min(one.deaths, len(PAUSES_S)) - 1]
        one.start_again_at = now + pause_s
        self._say(f"{one.child.name} {_ended(code)}, starting it again in {pause_s:g} s; its last words: {one.last_line() or 'none'}")
        return True

    def stop(self) -> None:
        """Ends every child within STOP_S, politely first."""
        running = [one for one in self._all if one.process is not None]
        for one in running:
            one.signal_group(signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while (late := [one for one in running if not one.has_ended()]) and time.monotonic() < deadline:
            time.sleep(0.02)
        for one in late:
            self._say(f"{one.child.name} did not stop within {STOP_S:g} s and was killed")
        for one in running:
            one.bury()

    def run(self, stop: Event) -> None:
        """Tends the children until ``stop`` is set, then ends them; they end also when this is left by an error."""
        try:
            while not stop.wait(LOOK_S):
                self.tend()
        finally:
            self.stop()


def stop_on_signals() -> Event:
    """An event that SIGINT and SIGTERM set; a hang-up of the terminal too."""
    stop = Event()

    def remember(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, remember)
    return stop


def _ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
