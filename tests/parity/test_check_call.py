# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy check` that is called wrong, or on files that are none: one clear error, status 1 or 2, no traceback.

And what other programs read of its output: SARIF has what its schema requires, JUnit is XML.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from tests.support.elf_objects import elf_object
from tests.support.shipped_kernels import shipped_kernel

pytestmark = pytest.mark.parity

LINE = "6.1"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of files that are modules, that call themselves so, and that do not."""
    place = tmp_path_factory.mktemp("check")
    module = shipped_kernel(LINE).modules[0].read_bytes()
    (place / "good.ko").write_bytes(module)
    (place / "cut off.ko").write_bytes(module[:1000])
    (place / "object.ko").write_bytes(elf_object([], []))
    (place / "empty.ko").write_bytes(b"")
    (place / "text.ko").write_text("This is no module.\n")
    (place / "text.txt").write_text("This is no module.\n")
    (place / "bad.ko.xz").write_bytes(b"\xfd7zXZ\0 and no more")
    (place / "bad.ko.gz").write_bytes(b"\x1f\x8b\x08")
    (place / "dangling.ko").symlink_to("nowhere.ko")
    (place / "empty").mkdir()
    (place / "folder.ko").mkdir()
    (place / os.fsdecode(b"\xff\x01&<'\".ko")).write_bytes(module[:1000])
    (place / "some").mkdir()
    for name in ("good", "cut off", "text"):
        (place / f"some/{name}.ko").write_bytes((place / f"{name}.ko").read_bytes())
    return place


def check(place: Path, *words: str, kernel: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run it in `place` for a kernel of ours, or the one that is named."""
    release = kernel or shipped_kernel(LINE).tree.release
    argv = [sys.executable, "-m", "kbuildpy", "check", "-k", release, *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(argv, cwd=place, env=environment, capture_output=True, check=False, timeout=120)
    assert b"Traceback" not in done.stderr + done.stdout, done.stderr.decode(errors="replace")
    return done


CALLS = {
    "no file": ([], "nothing to check"),
    "a file that is not there": (["none.ko"], "none.ko"),
    "one of several that is not there": (["good.ko", "none.ko"], "none.ko"),
    "a link to nowhere": (["dangling.ko"], "dangling.ko"),
    "a directory without modules": (["empty"], "empty"),
    "a directory that is called like a module": (["folder.ko"], "folder.ko"),
    "an unknown format": (["good.ko", "--format", "yaml"], "--format"),
    "formats that contradict each other": (["good.ko", "--format", "json,sarif"], "--format"),
    "no number of jobs": (["good.ko", "-j", "many"], "-j"),
    "a negative number of jobs": (["good.ko", "-j", "-1"], "-j"),
    "an unknown option": (["good.ko", "--frobnicate"], "--frobnicate"),
    "parameters of a module that is not there": (["good.ko", "--params", "other: debug=1"], "other"),
    "a certificate that is not there": (["good.ko", "--cert", "none.pem"], "none.pem"),
    "a certificate that is none": (["good.ko", "--cert", "text.txt"], "text.txt"),
    "a script that is not there": (["--script", "none.script"], "none.script"),
}
KERNELS = {
    "a path that is not there": "./none",
    "a release that is not there": "9.9.9-none",
    "a text for an image": "./text.txt",
    "an empty image": "./empty.ko",
    "a module for an image": "./good.ko",
    "a directory that is no tree": "./empty",
    "nothing": " ",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_call_has_one_clear_error(place: Path, call: str) -> None:
    words, named = CALLS[call]
    done = check(place, *words)
    assert done.returncode in (1, 2)
    one_error(done, named)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_that_is_none_is_named(place: Path, name: str) -> None:
    done = check(place, "good.ko", kernel=KERNELS[name])
    assert done.returncode in (1, 2)
    one_error(done, KERNELS[name].removeprefix("./").strip())
    assert done.stdout == b""


def one_error(done: subprocess.CompletedProcess[bytes], named: str) -> None:
    """There is an error that says what it is about, and nothing that says otherwise."""
    text = done.stderr.decode(errors="replace")
    assert len(re.findall(r"^kbuildpy[\w ]*: (?!It )", text, re.MULTILINE)) == 1, text
    assert named in text


@pytest.mark.parametrize("option", ["", "-q", "-v", "--format=json", "--format=sarif", "--format=junit"])
def test_a_file_that_is_no_module_is_refused_in_every_format(place: Path, option: str) -> None:
    for file in ("cut off.ko", "object.ko", "empty.ko", "text.ko", "text.txt", "bad.ko.xz", "bad.ko.gz"):
        done = check(place, file, *filter(None, [option]))
        assert done.returncode == 1, file
        assert file in unquote((done.stdout + done.stderr).decode())


def test_every_line_of_json_has_the_keys_of_a_verdict(place: Path) -> None:
    done = check(place, "some", "bad.ko.xz", "--format", "json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 4
    keys = {"file", "kernel", "accepted", "errno", "log", "stage", "reason", "hint", "taints", "requires", "unchecked"}
    assert all(keys <= row.keys() for row in rows)
    assert sum(row["accepted"] for row in rows) == 1


def test_sarif_has_what_its_schema_requires(place: Path) -> None:
    odd = os.fsdecode(b"\xff\x01&<'\".ko")
    done = check(place, "some", "object.ko", odd, "--format", "sarif")
    log = json.loads(done.stdout)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert isinstance(driver["name"], str)
    assert driver["name"]
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(rules) == len(set(rules))
    assert all(text(rule["shortDescription"]) for rule in driver["rules"])
    assert sum(result["level"] == "error" for result in run["results"]) == 4
    for result in run["results"]:
        assert text(result["message"])
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["ruleId"] in rules
        for location in result["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", uri), uri
        assert all(value is None or isinstance(value, str) for value in result["properties"].values())


def text(message: Any) -> bool:
    """Whether it is a message of SARIF's: an object with a text."""
    return isinstance(message["text"], str) and bool(message["text"])


def test_junit_can_be_read_back(place: Path) -> None:
    odd = os.fsdecode(b"\xff\x01&<'\".ko")
    done = check(place, "some", "object.ko", odd, "--format", "junit")
    root = ElementTree.fromstring(done.stdout)
    assert root.tag == "testsuites"
    [suite] = root
    cases = list(suite)
    assert (suite.get("tests"), suite.get("failures")) == (str(len(cases)), "4")
    assert len(cases) == 5
    assert sum(case.find("failure") is not None for case in cases) == 4
    assert all(case.get("name") and case.get("classname") for case in cases)


def test_warnings_of_an_accepted_module_are_told_apart_from_its_taints(place: Path) -> None:
    foreign = (place / "good.ko").read_bytes().replace(b"\0intree=Y", b"\0notree=Y")
    (place / "foreign.ko").write_bytes(foreign[:-1])  # (no signature, without its last byte)
    done = check(place, "good.ko", "foreign.ko", "-p", "nosuch=1", "--format", "json")
    ours, foreigns = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 0
    assert (ours["taints"], foreigns["taints"]) == ("", "OE")
    assert len(foreigns["lines"]) == 3
    assert ours["warnings"] == ours["lines"]
    assert [line.partition(": ")[2] for line in ours["warnings"]] == ["unknown parameter 'nosuch' ignored"]
    assert [line.partition(": ")[2] for line in foreigns["warnings"]] == ["unknown parameter 'nosuch' ignored"]
