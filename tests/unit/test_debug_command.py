# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy debug` over a machine that is made up: the commands for gdb and drgn, and their text."""

from __future__ import annotations

import lzma
import shlex
import subprocess
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from tests.support.documents import json_keys
from tests.support.made_up_machine import (
    ADDRESSES,
    RELEASE,
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


def test_gdb_gets_the_addresses_of_the_sections_that_stay(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    said = asked(system, capsys, "hello")
    assert (said.status, said.error) == (0, "")
    file = system.root / f"lib/modules/{RELEASE}/kernel/drivers/hello.ko"
    kernel = system.root / f"usr/lib/debug/boot/vmlinux-{RELEASE}"
    assert said.tool("gdb")["commands"] == [f"gdb {kernel} /proc/kcore"]
    assert said.tool("gdb")["inside"] == [
        "set confirm off",
        f"add-symbol-file {file} 0xffffffffc0301000 -s .data 0xffffffffc0303000",
        "print count",
    ]
    assert said.answer["same_build"] is True
    assert said.answer["sections"] == ADDRESSES


def test_a_kernel_that_moved_at_its_start_is_opened_with_the_distance(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    system.write("proc/kallsyms", "ffffffff9b200000 T _text\n")
    said = asked(system, capsys, "hello")
    kernel = system.root / f"usr/lib/debug/boot/vmlinux-{RELEASE}"
    [command] = said.tool("gdb")["commands"]
    opening = f"symbol-file -o {0xFFFFFFFF9B200000 - 0xFFFFFFFF81000000:#x} {kernel}"
    assert shlex.split(command) == ["gdb", "-ex", opening, "-ex", "core-file /proc/kcore"]


def test_without_vmlinux_gdb_has_the_module_alone_and_drgn_names_the_kernels_package(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    (system.root / f"usr/lib/debug/boot/vmlinux-{RELEASE}").unlink()
    said = asked(system, capsys, "hello")
    assert said.status == 0
    assert shlex.split(said.tool("gdb")["commands"][0]) == ["gdb", "-ex", "core-file /proc/kcore"]
    assert RELEASE in said.tool("drgn")["notes"][0]
    assert said.tool("drgn")["commands"] == []


def test_the_documents_explain_each_key(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(system, capsys, "hello").answer.keys() == json_keys("kbuildpy debug")


def test_a_script_has_the_commands_and_is_written_as_a_whole(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    said = asked(system, capsys, "hello", "--script", "a b.gdb")
    lines = Path("a b.gdb").read_text().splitlines()
    assert lines == said.answer["gdb_script"]
    assert [line.split()[0] for line in lines] == ["set", "symbol-file", "core-file", "add-symbol-file"]
    assert said.tool("gdb")["commands"] == ["gdb -x 'a b.gdb'"]
    with pytest.raises(KbuildError, match="--script nowhere/x: No such file"):
        called(system, "hello", "--script", "nowhere/x")


def test_a_script_is_not_written_without_addresses(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.load(dict.fromkeys(ADDRESSES, "0x0000000000000000"))
    said = asked(system, capsys, "hello", "--script", "x.gdb")
    assert said.status == 1
    assert said.error.startswith("kbuildpy: x.gdb was not written\n")
    assert not Path("x.gdb").exists()


def test_a_compressed_module_is_unpacked_by_a_command_that_comes_first(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    system.install(b"").unlink()
    file = system.install(lzma.compress(module()), "hello.ko.xz")
    said = asked(system, capsys, "hello")
    [unpack, _] = said.tool("gdb")["commands"]
    assert f" {Path.cwd()}/hello.gdb.ko " in said.tool("gdb")["inside"][1]
    assert not Path("hello.gdb.ko").exists()
    subprocess.run(["sh", "-c", unpack], check=True)
    assert Path("hello.gdb.ko").read_bytes() == lzma.decompress(file.read_bytes())


def test_drgn_gets_both_files_and_two_lines_that_show_a_variable(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    part = asked(system, capsys, "hello").tool("drgn")
    words = shlex.split(part["commands"][0])
    assert [words[0], words[1], words[3]] == ["drgn", "-s", "-s"]
    assert part["inside"] == ['count = prog.variable("count", "hello.c")', "print(count)"]


def test_drgn_shows_the_module_itself_where_it_has_no_variable(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    system.install(module(variable="__key", section=".data"))
    assert 'b"hello"' in asked(system, capsys, "hello").tool("drgn")["inside"][1]
    system.install(module(section=".rodata"))
    assert 'b"hello"' in asked(system, capsys, "hello").tool("drgn")["inside"][1]


def test_the_text_has_what_is_pasted_on_lines_of_their_own(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    said = asked(system, capsys, "hello")
    assert called(system, "hello") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"hello: loaded in the running kernel {RELEASE}; {said.answer['file']}, the same build"
    for tool in said.answer["tools"]:
        assert {f"    {line}" for line in (*tool["commands"], *tool["inside"])} <= {*lines}
        assert {f"  {line}" for line in tool["notes"]} <= {*lines}
    (system.root / "sys/module/hello/initstate").unlink()
    called(system, "hello")
    assert capsys.readouterr().out.startswith(f"hello: not loaded in the running kernel {RELEASE}; ")
    system.write(f"lib/modules/{RELEASE}/modules.builtin", "kernel/drivers/hello.ko\n")
    called(system, "hello")
    assert capsys.readouterr().out.startswith(f"hello: built into the running kernel {RELEASE}")


def test_nothing_is_changed(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in system.root.parent.rglob("*")}
    asked(system, capsys, "hello")
    assert {path: path.stat().st_mtime_ns for path in system.root.parent.rglob("*")} == before
