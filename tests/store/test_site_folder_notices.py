"""A site's own words of notices: over the shipped ones, every mistake named with its line."""

from pathlib import Path

import pytest

from domain.notice_texts import shipped_notice_texts, template_fault
from keepwarm.init import notices_file
from store.site_folder import load_site
from tests.store.site_cases import cases, lines, write


@pytest.mark.parametrize(("file", "content", "said"), cases("notices_toml_mistakes.txt"))
def test_mistakes_are_named(tmp_path: Path, file: str, content: str, said: list[str]) -> None:
    assert lines(write(tmp_path, {file: content})) == said


def test_without_a_file_the_shipped_words_stand(tmp_path: Path) -> None:
    assert load_site(write(tmp_path, {})).notice_texts == shipped_notice_texts()


def test_what_a_site_writes_stands_over_the_shipped_words(tmp_path: Path) -> None:
    own = '[outage]\ntitle_zh = "通知：{stations}"\n[cause.pump_trip]\nen = "a pump at rest"\n'
    texts = load_site(write(tmp_path, {"notices.toml": own})).notice_texts.templates
    shipped = shipped_notice_texts().templates
    assert {key: text for key, text in texts.items() if shipped[key] != text} == {
        "outage.title_zh": "通知：{stations}",
        "cause.pump_trip.en": "a pump at rest",
    }


def test_a_title_may_name_what_the_text_leaves_out(tmp_path: Path) -> None:
    own = '[outage]\ntitle_zh = "{stations}停热"\ntext_zh = "{start}起，{places}{households}。{cause}。{measures}{expected}{hotline}"\n'
    assert lines(write(tmp_path, {"notices.toml": own})) == []


def test_several_mistakes_are_named_at_once(tmp_path: Path) -> None:
    own = '[outage]\ntitle_zh = "{station}"\n[restored]\nword_zh = "{time}"\n'
    assert [line.split(":")[1] for line in lines(write(tmp_path, {"notices.toml": own}))] == ["2", "4"]


def test_what_init_writes_changes_nothing_until_it_is_edited(tmp_path: Path) -> None:
    bare = load_site(write(tmp_path / "bare", {"notices.toml": notices_file()}))
    assert bare.notice_texts == shipped_notice_texts()
    in_force = "\n".join(line.removeprefix("#") if line[:2] not in ("# ", "#\n") else line for line in notices_file().splitlines())
    assert "title_zh = " in in_force
    assert load_site(write(tmp_path / "full", {"notices.toml": in_force})).notice_texts == shipped_notice_texts()


def test_every_shipped_template_is_whole_in_both_languages() -> None:
    templates = shipped_notice_texts().templates
    assert [name for name, text in templates.items() if template_fault(name, text)] == []
    assert {name.rpartition("_")[0] for name in templates if name.startswith("outage")} == {"outage.title", "outage.text"}
    twins = {name.replace("zh", "en"): name for name in templates if name.endswith("zh")}
    assert all(name in templates for name in twins)
