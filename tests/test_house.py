"""The house's own rules, for every file that git knows: what must never land."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LISTS = sorted((ROOT / "requirements").glob("*.txt"))


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_no_path_of_one_machine_and_no_key_stands_in_the_tree() -> None:
    forbidden = re.compile("/(?:wo" + "rk|fa" + "rm|ro" + "ot)/|/ho" + "me/[a-z]|BEGIN [A-Z ]*PRIV" + "ATE KEY")
    found = []
    for file in tracked():
        text = file.read_bytes().decode("utf-8", "replace")
        found += [f"{file.relative_to(ROOT)}: {match.group()}" for match in forbidden.finditer(text)]
    assert found == []


@pytest.mark.parametrize("file", LISTS, ids=lambda file: file.name)
def test_pinned_lists_name_no_host_and_hash_every_file(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"://|--(?:index|extra-index|find-links|trusted)", text)
    pins = re.findall(r"^\S+==\S+.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert pins
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize("name", ["runtime", "dev", "tools"])
def test_every_requirement_says_why_and_is_locked_at_its_pin(name: str) -> None:
    wanted = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8")
    locked = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9.-]+)(?:\[[a-z]+\])?==([^\s;]+)(.*)$", wanted, re.MULTILINE | re.IGNORECASE)
    assert pins
    for package, version, rest in pins:
        assert re.search(rf"^{re.escape(package)}=={re.escape(version)}\s", locked, re.MULTILINE | re.IGNORECASE), f"make lock: {package}"
        assert "#" in rest, f"{package}: why?"


def test_tests_hide_no_package() -> None:
    assert [str(file) for file in (ROOT / "tests").rglob("__init__.py")] == []
