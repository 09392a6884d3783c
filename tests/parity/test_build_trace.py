# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy build --trace` and `scons KBUILD_TRACE=`: the events are the lines that the build printed, and their times
are possible ones."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import kbuildpy
from tests.support.edits import edit
from tests.support.interrupts import can_be_interrupted
from tests.support.kernel_trees import usual_tree
from tests.support.scons_project import PAIR, new_project
from tests.support.standalone_pages import CHROMIUM, browse, check_stands_alone, pictures_in, titles_of

pytestmark = pytest.mark.parity

_WITHIN = ("LOADCHK", "BTF")
"""Lines of what is a part of a link."""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Two modules' sources."""
    place = tmp_path / "module"
    place.mkdir()
    for name, text in PAIR.items():
        if name.startswith("drv/"):
            (place / name.removeprefix("drv/")).write_text(text)
    return place


def build(module: Path, *words: str | Path, status: int = 0) -> str:
    done = kbuildpy("build", module, "-k", usual_tree().objects, "-j2", *words)
    assert done.returncode == status, done.error_text
    return done.text


def steps_of(file: Path) -> list[dict[str, Any]]:
    """The steps in a trace, whose times are checked: within the build, after what they waited for, and one at a time in
    each slot."""
    told = json.loads(file.read_text())
    events = [event for event in told["traceEvents"] if event["ph"] == "X"]
    [declared] = [event for event in events if event["cat"] == "declare"]
    steps = [event for event in events if event["cat"] == "step"]
    whole = round(told["otherData"]["seconds"] * 1e6)
    assert abs(told["otherData"]["began_at"] - time.time()) < 3600
    ends = {step["args"]["target"]: step["ts"] + step["dur"] for step in steps}
    assert len(ends) == len(steps)
    for step in steps:
        assert declared["dur"] <= step["ts"] and step["dur"] >= 0 and step["ts"] + step["dur"] <= whole
        waited = step["args"]["waited_for_target"]
        assert waited is None or ends[waited] <= step["ts"] + 1
    for slot in {step["tid"] for step in steps}:
        # (SCons may run one more than `-j` says: its first worker can look for help before it is counted itself)
        assert 1 <= slot <= told["otherData"]["jobs"] + 1
        mine = sorted((step["ts"], step["ts"] + step["dur"]) for step in steps if step["tid"] == slot)
        assert all(end <= begin + 1 for (_, end), (begin, _) in pairwise(mine))
    return steps


def lines_of(printed: str) -> list[str]:
    """The lines about files in a build's output, in the form of the names of steps."""
    found = re.findall(r"^  ([A-Z]+(?: \[M\])?) +(\S+)$", printed, re.MULTILINE)
    return sorted(f"{word} {name}" for word, name in found if word.split()[0] not in _WITHIN)


def names(steps: list[dict[str, Any]]) -> list[str]:
    return sorted(step["name"] for step in steps if not step["name"].startswith("write "))


def test_the_events_are_what_the_build_printed(module: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"trace{suffix}" for suffix in (".json", ".html", ".svg")]
    printed = build(module, *(word for file in files for word in ("--trace", file)))
    steps = steps_of(files[0])
    assert names(steps) == lines_of(printed) and len(names(steps)) >= 9
    by_name = {step["name"]: step["args"] for step in steps}
    assert by_name["LD [M] pair.o"]["waited_for"] in ("CC [M] pair_a.o", "CC [M] pair_b.o")
    assert by_name["LD [M] user.ko"]["waited_for"] in ("CC [M] user.mod.o", "CC [M] .module-common.o")
    assert {args["why"] for args in by_name.values()} == {"it was not made before"}
    for file in files[1:]:
        text = file.read_text()
        check_stands_alone(text)
        [picture] = pictures_in(text)
        drawn = dict(re.findall(r"^(.*): ([\d.]+) s, from", "\n".join(titles_of(picture)), re.MULTILINE))
        assert {name: float(drawn[name]) for name in drawn} == {
            step["name"]: pytest.approx(step["dur"] / 1e6, abs=0.002) for step in steps
        }

    # A build with nothing to do has no step, and that the last one was traced changes no command.
    build(module, "--trace", files[0])
    assert steps_of(files[0]) == []
    assert "is up to date" in build(module) or lines_of(build(module)) == []

    edit(module / "pair_b.c", "return 2", "return 3")
    told = build(module, f"KBUILD_TRACE={files[0]}", "--explain")
    reasons = dict(re.findall(r"^  (?:CC \[M\]) +(\S+) - (.*)$", told, re.MULTILINE))
    why = {step["name"].split()[-1]: step["args"]["why"] for step in steps_of(files[0]) if step["name"][:2] == "CC"}
    assert why == reasons and "pair_b.o" in why


def test_a_failure_leaves_a_trace_that_says_so(module: Path, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    file.write_text("an earlier trace")
    edit(module / "pair_b.c", "return 2", "return two")
    build(module, "--trace", file, status=1)
    failed = [step for step in steps_of(file) if step["args"]["outcome"] == "failed"]
    assert [step["name"] for step in failed] == ["CC [M] pair_b.o"]


def test_a_kill_leaves_no_trace_and_an_end_a_sound_one(module: Path, tmp_path: Path) -> None:
    for number in (signal.SIGKILL, signal.SIGTERM):
        file = tmp_path / "trace.json"
        file.write_text("an earlier trace")
        argv = [sys.executable, "-m", "kbuildpy", "build", module, "-k", usual_tree().objects, "--trace", file]
        process = subprocess.Popen(
            [str(word) for word in argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=can_be_interrupted,
        )
        assert process.stdout is not None
        with process.stdout:
            assert b"CC" in process.stdout.readline()
            assert not file.exists()
            process.send_signal(number)
            process.stdout.read()
        process.wait()
        assert process.returncode in (-number, 128 + number)
        assert file.exists() == (number == signal.SIGTERM)
    steps_of(file)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_wrong_calls_begin_nothing(module: Path, tmp_path: Path) -> None:
    for words, said in (
        (["--trace", module / "user.c"], "the name of a trace ends in .json, .html, .svg"),
        (["--trace", tmp_path / "gone/a.json"], "no such directory"),
        (["--trace", tmp_path / "a.json", "-n"], "leave out -n and -c"),
        (["KBUILD_TRACE=/proc/a.json"], "/proc/a.json: "),
    ):
        done = kbuildpy("build", module, "-k", usual_tree().objects, *words)
        assert done.returncode == 2 and said in done.error_text, words
        assert done.error_text.count("kbuildpy: error:") == 1 and "Traceback" not in done.error_text
    assert not (module / "build").exists() and "pair_value" in (module / "user.c").read_text()


def test_scons_traces_all_that_it_runs(tmp_path: Path) -> None:
    project = new_project(tmp_path, PAIR)
    project.edit(
        "SConstruct",
        "env.Kbuild('drv')",
        "env.Kbuild('drv')\nenv.Command('copy.txt', 'drv/user.c', 'cat $SOURCE > $TARGET')",
    )
    printed = project.scons("-Q", "-j2", "KBUILD_TRACE=trace.json trace.html").output
    steps = steps_of(project.place / "trace.json")
    assert "cat drv/user.c > copy.txt" in names(steps)
    assert [name for name in names(steps) if name[:3] != "cat"] == lines_of(printed)
    pictures_in((project.place / "trace.html").read_text())
    project.scons("-Q", "-c", "KBUILD_TRACE=other.json")
    assert not (project.place / "other.json").exists()
    refused = project.scons("-Q", "KBUILD_TRACE=trace.txt", status=2).output
    assert "SConstruct:" in refused and "the name of a trace ends in .json" in refused


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_a_browser_shows_the_page(module: Path, tmp_path: Path) -> None:
    file = tmp_path / "trace.html"
    build(module, "user.o", "--trace", file)
    page = browse(file.read_text(), tmp_path)
    assert page.rows()[1][0] == "CC [M] user.o"
