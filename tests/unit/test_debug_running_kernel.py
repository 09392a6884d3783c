# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy debug`: what is read of the kernel that runs, and which of its tools that gives."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kbuildpy.debug.live_tools import debug_message_commands, trace_commands
from kbuildpy.debug.running_kernel import read_running_kernel
from tests.support.made_up_machine import (
    KERNEL,
    RELEASE,
    System,
    asked,
    made_up_machine,
    without_rights,
)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A machine with the module installed and loaded, and nothing in the way."""
    return made_up_machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("mounts", "place"),
    [
        ("debugfs /d debugfs rw 0 0\ntracefs /t\\040x tracefs rw 0 0\n", "/t x"),
        ("debugfs /sys/kernel/debug debugfs rw 0 0\n", "/sys/kernel/debug/tracing"),
        ("proc /proc proc rw 0 0\n\nodd\n", ""),
    ],
)
def test_the_tracefs_that_is_mounted_is_taken(mounts: str, place: str, system: System) -> None:
    system.write("proc/mounts", mounts)
    assert read_running_kernel(root=system.root).tracefs == place


def test_where_tracefs_is_not_mounted_mounting_comes_first(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.write("proc/mounts", "")
    commands = asked(system, capsys, "hello").tool("trace")["commands"]
    assert commands[0] == "mount -t tracefs tracefs /sys/kernel/tracing"


def test_dynamic_debug_is_in_debugfs_where_proc_does_not_have_it(system: System) -> None:
    (system.root / "proc/dynamic_debug/control").unlink()
    assert read_running_kernel(root=system.root).debug_control == ""
    system.write("proc/mounts", "debugfs /d debugfs rw 0 0\n")
    system.write("d/dynamic_debug/control", "")
    assert read_running_kernel(root=system.root).debug_control == "/d/dynamic_debug/control"


def test_a_directory_that_is_closed_to_this_user_is_taken_to_have_dynamic_debug(system: System) -> None:
    (system.root / "proc/dynamic_debug/control").unlink()
    system.write("proc/mounts", "debugfs /sys/kernel/debug debugfs rw 0 0\n")
    system.write("sys/kernel/debug/closed", "").parent.chmod(0o700)
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        shutil.copytree(system.root, Path(place, "root"))
        with without_rights():
            found = read_running_kernel(root=Path(place, "root")).debug_control
    assert found == ("/sys/kernel/debug/dynamic_debug/control" if os.geteuid() == 0 else "")


@pytest.mark.parametrize("lockdown", ["", "integrity"])
def test_a_kernel_that_is_locked_down_refuses_writing_into_debugfs(lockdown: str) -> None:
    kernel = replace(KERNEL, lockdown=lockdown, debug_control="/d/dynamic_debug/control")
    part = debug_message_commands("hello", kernel, None, None)
    assert any("refuses to write" in note for note in part.notes) == bool(lockdown)
    part = debug_message_commands("hello", replace(KERNEL, lockdown=lockdown), None, None)
    assert not any("refuses to write" in note for note in part.notes)


def test_what_the_kernel_does_not_have_is_no_command() -> None:
    lacking = replace(KERNEL, config={"CONFIG_MODULES": "y"})
    assert debug_message_commands("hello", lacking, None, None).commands == ()
    assert debug_message_commands("hello", KERNEL, [], None).commands == ()
    part = trace_commands("hello", lacking, "greet", [], Path("/hello.ko"))
    assert not any("kprobe" in line or ":mod:" in line for line in part.commands)
    part = trace_commands("hello", KERNEL, "greet", [], Path("/hello.ko"))
    assert "echo 'p:hello_greet hello:greet' >> /sys/kernel/tracing/kprobe_events" in part.commands
    assert "perf probe -m /hello.ko --add greet" in part.commands


def test_the_probe_is_at_the_first_function_that_stays(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    commands = asked(system, capsys, "hello").tool("trace")["commands"]
    assert any("hello:greet" in line for line in commands)


def test_the_configuration_is_read_where_it_is(system: System) -> None:
    assert read_running_kernel(root=system.root).config == {}
    system.write("proc/config.gz", gzip.compress(b"CONFIG_A=y\n"))
    assert read_running_kernel(root=system.root).config == {"CONFIG_A": "y"}
    system.write(f"boot/config-{RELEASE}", "CONFIG_B=m\n# CONFIG_C is not set\n")
    assert read_running_kernel(root=system.root).config == {"CONFIG_B": "m"}
