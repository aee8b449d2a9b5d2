"""The supervisor with real processes: who dies is started again, nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from domain.errors import ConfigError
from keepwarm.supervise import Child, Supervisor

SLEEPER = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: exit(0))\nwhile True: time.sleep(60)"
DEAF = "import signal, time, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\nwhile True: time.sleep(60)"
PARENT = (
    "import subprocess, sys, time\n"
    "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(inner.pid, flush=True)\nwhile True: time.sleep(60)"
)


def python(name: str, code: str) -> Child:
    return Child(name, (sys.executable, "-c", code))


def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_child_that_died_is_started_again_and_said_so(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, said.append)
    supervisor.start(python("one", SLEEPER), python("other", SLEEPER))
    try:
        before = supervisor.pids()
        os.kill(before["one"], signal.SIGKILL)
        until(supervisor.tend)
        until(lambda: supervisor.tend() or "one" in supervisor.pids())
        after = supervisor.pids()
        assert after["one"] != before["one"]
        assert after["other"] == before["other"]
        assert said == ["one was ended by SIGKILL, starting it again in 0.5 s; its last words: none"]
    finally:
        supervisor.stop()


def test_pauses_grow_with_each_death_and_the_last_words_are_shown(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, said.append)
    supervisor.start(python("sick", "raise SystemExit('no such cable')"))
    try:
        until(lambda: (supervisor.tend(), len(said) == 2)[1])
    finally:
        supervisor.stop()
    assert said == [
        "sick ended with exit code 1, starting it again in 0.5 s; its last words: no such cable",
        "sick ended with exit code 1, starting it again in 1 s; its last words: no such cable",
    ]


def test_a_child_that_refuses_its_input_is_not_started_again(tmp_path: Path) -> None:
    refusing = python("check", "import sys; print('site.toml:3: timezone', file=sys.stderr); sys.exit(2)")
    supervisor = Supervisor(tmp_path, print)
    supervisor.start(refusing, python("other", SLEEPER))
    other = supervisor.pids()["other"]
    try:
        with pytest.raises(ConfigError, match=r"keepwarm check: site\.toml:3: timezone"):
            until(supervisor.tend)
    finally:
        supervisor.stop()
    assert gone(other)


def test_stop_ends_the_deaf_and_the_grandchildren_too(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, said.append)
    supervisor.start(python("deaf", DEAF), python("parent", PARENT), python("one", SLEEPER))
    until((tmp_path / "parent.out").read_text)
    until((tmp_path / "deaf.out").read_text)
    pids = [*supervisor.pids().values(), int((tmp_path / "parent.out").read_text())]
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 5.0
    until(lambda: all(gone(pid) for pid in pids))
    assert said == ["deaf did not stop within 3 s and was killed"]


def test_a_killed_supervisor_leaves_no_child(tmp_path: Path) -> None:
    guarded = "from keepwarm.guard import end_with_parent\nend_with_parent(grace_s=0.2)\n" + DEAF
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom keepwarm.supervise import Child, Supervisor\n"
        f"child = Child('deaf', (sys.executable, '-c', {guarded!r}))\n"
        "supervisor = Supervisor(Path(sys.argv[1]), print)\nsupervisor.start(child)\n"
        "print(supervisor.pids()['deaf'], flush=True)\ntime.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    until((tmp_path / "deaf.out").read_text)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: gone(child))


def test_a_dashboard_hears_of_its_parents_end_before_it_loads_what_takes_long(tmp_path: Path) -> None:
    """Else, killed with its parent's start hardly over, it keeps the port from their successors for as long as that takes."""
    (tmp_path / "site.toml").write_text('name = "T"\npolicy = "default"\n', encoding="utf-8")
    orphan = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "keepwarm", "dashboard", str(tmp_path), "--port", "0", "--supervised"],
        stdin=subprocess.DEVNULL,  # its end is the sign that the supervisor is gone
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
        check=False,
    )
    assert orphan.returncode == -signal.SIGTERM
    assert "streamlit" not in orphan.stderr
