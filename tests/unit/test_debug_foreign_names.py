# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy debug`: names of files, modules, sections and messages are no commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from kbuildpy.debug.live_tools import Site, TraceEvent, debug_message_commands, trace_commands
from kbuildpy.errors import UsageError
from tests.support.made_up_machine import (
    ADDRESSES,
    KERNEL,
    System,
    asked,
    called,
    made_up_machine,
    module,
)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A machine with the module installed and loaded, and nothing in the way."""
    return made_up_machine(tmp_path, monkeypatch)


@pytest.mark.parametrize("word", ["a b", "a;b", "$(x)", "x\n", "..", "é", "a" * 56, "'", "\x1b[2J"])
def test_a_name_that_no_module_has_is_a_wrong_call(word: str, system: System) -> None:
    with pytest.raises(UsageError, match="is no name of a module"):
        called(system, word)


def test_a_name_may_have_a_dash_for_an_underscore(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    (system.root / "sys/module/hello").rename(system.root / "sys/module/hel_lo")
    system.install(module(name="hel_lo"), "hel-lo.ko")
    assert asked(system, capsys, "hel-lo").answer["module"] == "hel_lo"


def test_a_file_that_names_its_module_badly_is_refused(system: System, tmp_path: Path) -> None:
    (tmp_path / "x.ko").write_bytes(module(name="x;reboot"))
    with pytest.raises(UsageError, match="'x;reboot' is no name of a module"):
        called(system, str(tmp_path / "x.ko"))


def test_names_of_files_and_sections_are_no_commands(
    system: System, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "a b;touch x\n\x1b[2J"
    place.mkdir()
    (place / "hello.ko").write_bytes(module())
    system.load({**ADDRESSES, ".data": "0x1; shell touch y", "\nshell touch z": "0x1"})
    assert called(system, str(place / "hello.ko")) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text and "\nshell" not in text
    [line] = [line.strip() for line in text.splitlines() if "add-symbol-file" in line]
    escaped = str(place / "hello.ko").replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert shlex.split(line) == ["add-symbol-file", escaped, ADDRESSES[".text"]]
    for line in text.splitlines():
        if "kbuildpy decode" in line:
            assert shlex.split(line.partition("|")[2])[:4] == ["kbuildpy", "decode", "-", escaped]


def test_a_message_in_a_place_with_an_odd_name_is_counted_but_is_no_example() -> None:
    odd = [Site("a'; reboot #.c", 1, "f"), Site("a.c", 2, "g; reboot")]
    part = debug_message_commands("hello", KERNEL, odd, None)
    assert "reboot" not in " ".join(part.commands)
    assert part.notes[0].startswith("2 messages in 2 functions")
    part = debug_message_commands("hello", KERNEL, [*odd, Site("drv/a.c", 3, "probe")], None)
    assert [shlex.split(line)[1] for line in part.commands[:3]] == [
        "module hello +p",
        "module hello func probe +p",
        "module hello file a.c line 3 +p",
    ]
    assert part.commands[-1] == "modprobe hello dyndbg=+p"


def test_trace_events_with_odd_names_are_left_out() -> None:
    events = [TraceEvent("hello", "x; reboot"), TraceEvent("hello", "greeted")]
    part = trace_commands("hello", KERNEL, "", events, None)
    assert [line for line in part.commands if "/events/" in line] == [
        "echo 1 > /sys/kernel/tracing/events/hello/greeted/enable"
    ]
