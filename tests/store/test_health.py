import os
import threading
from pathlib import Path

import pytest

from domain.site import WHOLE, Share
from store.health import forget_other_shares, node_of, read_health, write_health


def test_each_component_s_last_word_is_read(tmp_path: Path) -> None:
    assert read_health(tmp_path) == []
    write_health(tmp_path, "watch", 1_000, {"passes": 1})
    write_health(tmp_path, "watch", 2_000, {"passes": 2, "rooms": ["一", "二"]})
    write_health(tmp_path, "collect", 1_500, {"autonomy_h": float("inf"), "rates": [float("nan"), 1.0]})
    collect, watch = read_health(tmp_path)
    assert (watch.component, watch.at_ms, watch.pid, watch.detail) == ("watch", 2_000, os.getpid(), {"passes": 2, "rooms": ["一", "二"]})
    assert watch.wall_at_ms > 1_700_000_000_000
    assert collect.detail == {"autonomy_h": None, "rates": [None, 1.0]}
    assert sorted(path.name for path in (tmp_path / "health").iterdir()) == ["collect.json", "watch.json"]


def test_files_that_are_no_health_are_left_out(tmp_path: Path) -> None:
    write_health(tmp_path, "watch", 1_000, {})
    (tmp_path / "health" / "broken.json").write_text("{")
    (tmp_path / "health" / "other.json").write_text("[1]")
    (tmp_path / "health" / "strange.json").write_text('{"component": "x"}')
    assert [word.component for word in read_health(tmp_path)] == ["watch"]


def test_a_word_that_meets_one_still_under_way_in_another_thread_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``collect`` tells its health in a thread; its last word at the end may be said while that is still at it."""
    replace = Path.replace

    def another_first(path: Path, to: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        other = threading.Thread(target=write_health, args=(tmp_path, "collect", 1_000, {}))
        other.start()
        other.join()
        return replace(path, to)

    monkeypatch.setattr(Path, "replace", another_first)
    write_health(tmp_path, "collect", 2_000, {})
    assert [word.at_ms for word in read_health(tmp_path)] == [2_000]
    assert [path.name for path in (tmp_path / "health").iterdir()] == ["collect.json"]


def test_a_folder_that_can_t_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "health").write_text("a file where the folder belongs")
    write_health(tmp_path, "watch", 1_000, {})
    assert read_health(tmp_path) == []


@pytest.mark.parametrize(
    ("component", "parts"),
    [
        ("watch", ("watch", "")),
        ("watch-2-of-4", ("watch", "2-of-4")),
        ("collect-10-of-12", ("collect", "10-of-12")),
        ("a-of-b", ("a-of-b", "")),
    ],
)
def test_a_component_of_several_nodes_names_its_node(component: str, parts: tuple[str, str]) -> None:
    assert node_of(component) == parts


def test_nodes_of_another_dealing_are_forgotten(tmp_path: Path) -> None:
    for component in ("watch", "watch-1-of-2", "watch-1-of-3", "watch-3-of-3", "collect-1-of-2", "forward"):
        write_health(tmp_path, component, 1_000, {})
    forget_other_shares(tmp_path, "watch", Share(1, 3))
    assert [word.component for word in read_health(tmp_path)] == ["collect-1-of-2", "forward", "watch-1-of-3", "watch-3-of-3"]
    forget_other_shares(tmp_path, "watch", WHOLE)
    assert [word.component for word in read_health(tmp_path)] == ["collect-1-of-2", "forward"]
