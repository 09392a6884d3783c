# SPDX-License-Identifier: GPL-2.0-only
"""An answer is kept for as long as the files that it was made from stay as they are, and no longer."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kbuildpy.kbuild import cached as cached_module
from kbuildpy.kbuild.ask_tree import watched
from kbuildpy.kbuild.cached import cached, recall, remember
from kbuildpy.kbuild.stamps import Stamp, stamp, stamps
from kbuildpy.kernel.cache import write_json
from kbuildpy.kernel.tree import KernelTree


@pytest.fixture(autouse=True)
def _asked_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are asked a second after the files were written that they are about."""
    monkeypatch.setattr(time, "time_ns", lambda: time.clock_gettime_ns(time.CLOCK_REALTIME) + 10**9)


class Question:
    """Answers with the length of a file, and counts how often it is asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = 0

    def __call__(self) -> tuple[Any, dict[str, Stamp]]:
        self.asked += 1
        return {"length": self.path.stat().st_size}, stamps([self.path])


def read_length(value: Any) -> int:
    return int(value["length"])


def test_an_answer_is_asked_for_once_while_its_file_stays(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("four")
    question = Question(source)
    for _ in range(3):
        assert cached(tmp_path / "answer", question, read=read_length) == 4
    assert question.asked == 1
    source.write_text("seven!!")
    assert cached(tmp_path / "answer", question, read=read_length) == 7
    assert question.asked == 2


def test_a_file_of_the_same_size_and_another_time_is_another_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.touch()
    question = Question(source)
    cached(tmp_path / "answer", question, read=read_length)
    os.utime(source, ns=(0, 1))
    cached(tmp_path / "answer", question, read=read_length)
    assert question.asked == 2


def test_a_file_that_comes_later_counts(tmp_path: Path) -> None:
    remember(tmp_path / "answer", "none", stamps([tmp_path / "late"]), began_ns=None)
    assert recall(tmp_path / "answer") == "none"
    (tmp_path / "late").write_text("here")
    assert recall(tmp_path / "answer") is None


@pytest.mark.parametrize("change", ["written", "moved here"])
def test_an_answer_is_not_kept_where_a_file_changed_while_it_was_asked_for(change: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("four")
    os.utime(tmp_path / "source", ns=(0, 1))

    def ask() -> tuple[Any, dict[str, Stamp]]:
        length = source.stat().st_size
        after = time.clock_gettime_ns(time.CLOCK_REALTIME)
        if change == "written":
            source.write_text("seven!!")
            os.utime(source, ns=(after, after))
        else:
            (tmp_path / "new").write_text("seven!!")
            os.utime(tmp_path / "new", ns=(0, 1))
            (tmp_path / "new").replace(source)
        return {"length": length}, stamps([source])

    began = time.clock_gettime_ns(time.CLOCK_REALTIME)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: began - 10**9 + 20_000_000)
        cached(tmp_path / "answer", ask, read=read_length)
    assert recall(tmp_path / "answer") is None
    question = Question(source)
    assert cached(tmp_path / "answer", question, read=read_length) == 7
    assert question.asked == 1


def test_the_stamp_of_a_file_tells_its_time_and_size_and_of_none_that_it_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("four")
    os.utime(tmp_path / "file", ns=(0, 7))
    assert stamps([tmp_path / "file", tmp_path / "none"]) == {
        str(tmp_path / "file"): (7, 4),
        str(tmp_path / "none"): (0, 0),
    }


def test_an_answer_belongs_to_its_key(tmp_path: Path) -> None:
    remember(tmp_path / "answer", [1], {}, key="one", began_ns=None)
    assert recall(tmp_path / "answer", key="one") == [1]
    assert recall(tmp_path / "answer", key="other") is None
    assert recall(tmp_path / "answer") is None


@pytest.mark.parametrize("value", [[], 1, "text", {}, {"key": ""}, {"key": "", "stamps": [1], "value": 2}])
def test_a_file_of_another_version_is_no_answer(value: object, tmp_path: Path) -> None:
    write_json(tmp_path / "answer", value)
    assert recall(tmp_path / "answer") is None


def test_a_value_that_cannot_be_read_is_asked_for_again(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("four")
    remember(tmp_path / "answer", {"size": 4}, stamps([source]), began_ns=None)
    question = Question(source)
    assert cached(tmp_path / "answer", question, read=read_length) == 4
    assert question.asked == 1
    assert json.loads((tmp_path / "answer").read_text().splitlines()[0])["value"] == {"length": 4}


def test_looks_no_further_than_the_first_file_that_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / str(number) for number in range(5)]
    for file in files:
        file.touch()
    remember(tmp_path / "answer", 1, stamps(files), began_ns=None)
    files[1].write_text("changed")
    looked_at: list[str] = []

    def noted(path: str) -> Stamp:
        looked_at.append(path)
        return stamp(path)

    monkeypatch.setattr(cached_module, "stamp", noted)
    assert recall(tmp_path / "answer") is None
    assert looked_at == [str(file) for file in files[:2]]


def test_programs_are_watched_where_the_environment_of_make_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("ours", "makes"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cc").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "ours"))
    tree = KernelTree(objects=tmp_path, source=tmp_path, release="6.1")
    answer: Any = SimpleNamespace(tree=tree, makefiles=(), link_needs=(), programs={"CC": "cc -m32"})
    seen = watched(answer, {"PATH": str(tmp_path / "makes")})
    assert [name for name in seen if name.endswith("/cc")] == [str(tmp_path / "makes/cc")]
