"""The code kept of compiled rules: whoever compiles, is killed or is upgraded meanwhile, nobody is given another's code."""

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compliance.kernel import KeptCode

CALLED = """
from compliance.kernel import kernel

HOURS = {hours}

@kernel
def limit(x):
    return x + {more}
"""
CALLER = """
from compliance.kernel import kernel
from kernel_called import HOURS, limit

@kernel
def judged(x):
    return limit(x) * HOURS
"""

Judged = Callable[[int], int]


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int], Judged]]:
    """A kernel that has another file's kernel and number in it, as a process started now finds it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "kernel_caller.py").write_text(CALLER, encoding="utf-8")

    def forget() -> None:
        for name in ("kernel_caller", "kernel_called"):
            sys.modules.pop(name, None)

    def started(more: int, hours: int) -> Judged:
        text = CALLED.format(more=more, hours=hours)
        if not (tmp_path / "kernel_called.py").exists() or (tmp_path / "kernel_called.py").read_text(encoding="utf-8") != text:
            (tmp_path / "kernel_called.py").write_text(text, encoding="utf-8")
        forget()
        importlib.invalidate_caches()
        found: Judged = importlib.import_module("kernel_caller").judged
        return found

    yield started
    forget()


def test_a_kernel_of_another_file_that_has_changed_is_compiled_in_anew(judged: Callable[[int, int], Judged]) -> None:
    assert judged(1, 2)(10) == 22
    assert judged(100, 2)(10) == 220
    assert judged(100, 30)(10) == 3300


def test_what_has_not_changed_is_not_compiled_again(judged: Callable[[int, int], Judged]) -> None:
    judged(1, 2)(10)
    again = judged(1, 2)
    assert again(10) == 22
    assert sum(again.stats.cache_hits.values()) == 1  # type: ignore[attr-defined]  # numba's


def test_of_signatures_compiled_at_once_each_gets_its_own_code(tmp_path: Path) -> None:
    rounds, together = 100, threading.Barrier(3)

    def kept(number: int) -> KeptCode:
        return KeptCode(tmp_path, f"judge-{number}.py311", ("source",))

    def compiles(signature: str) -> None:
        for number in range(rounds):
            together.wait()
            kept(number).save(signature, f"code of {signature}")

    def is_given() -> set[tuple[str, str]]:
        found = set()
        for number in range(rounds):
            together.wait()
            found |= {(signature, kept(number).load(signature)) for _ in range(5) for signature in ("int", "float")}
        return found

    with ThreadPoolExecutor(3) as threads:
        compiling = [threads.submit(compiles, signature) for signature in ("int", "float")]
        given = threads.submit(is_given).result()
        for one in compiling:
            one.result()
    own = {(signature, f"code of {signature}") for signature in ("int", "float")}
    assert given <= own | {("int", None), ("float", None)}
    assert all({(signature, kept(number).load(signature)) for signature in ("int", "float")} == own for number in range(rounds))


@pytest.mark.parametrize("step", [1, 2])
def test_killed_while_it_keeps_code_it_leaves_none_of_the_version_before(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, now = (KeptCode(tmp_path, "judge-1.py311", (source,)) for source in ("before", "now"))
    before.save("int", "old code")
    steps, replace = iter(range(1, 10)), Path.replace

    def killed_at(path: Path, to: Path) -> Path:
        if next(steps) == step:
            sys.exit("killed")
        return replace(path, to)

    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", killed_at)
        with pytest.raises(SystemExit):
            now.save("int", "new code")
    assert now.load("int") in {None, "new code"}
    assert before.load("int") in {None, "old code"}
    now.save("int", "new code")
    assert now.load("int") == "new code"
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".lock", ".nbc", ".nbi"]


@pytest.mark.parametrize("damaged", [".nbi", ".nbc"])
@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\x80\x05\x95\xff"], ids=["empty", "zeros", "cut"])
def test_code_that_can_not_be_read_is_compiled_anew(damaged: str, content: bytes, tmp_path: Path) -> None:
    """A loss of power leaves files empty that were not written through to the disk."""
    kept = KeptCode(tmp_path, "judge-1.py311", ("source",))
    kept.save("int", "code")
    next(path for path in tmp_path.iterdir() if path.suffix == damaged).write_bytes(content)
    assert kept.load("int") is None
    kept.save("int", "code")
    assert kept.load("int") == "code"


def test_a_folder_that_takes_nothing_is_no_reason_not_to_judge(tmp_path: Path) -> None:
    kept = KeptCode(tmp_path / "gone", "judge-1.py311", ("source",))
    kept.save("int", "code")
    assert kept.load("int") is None
