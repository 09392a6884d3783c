# SPDX-License-Identifier: GPL-2.0-only
"""A machine that is made up for `kbuildpy debug`: its sysfs, /proc and files, and what the command says of it."""

from __future__ import annotations

import argparse
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.cli.debug import add_arguments, print_commands
from kbuildpy.debug.running_kernel import RunningKernel
from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import SHF_ALLOC, SHT_NOTE, STB_LOCAL, STT_FILE, STT_FUNC, STT_OBJECT
from tests.support.elf_objects import DATA, TEXT, Sec, Sym, elf_object

RELEASE = "6.1.0-made-up"
BUILD_ID = bytes(range(20))
ADDRESSES = {".text": "0xffffffffc0301000", ".data": "0xffffffffc0303000", ".init.text": "0xffffffffc0305000"}


def note(build_id: bytes) -> bytes:
    """The section of notes with a build id."""
    return struct.pack("=III4s", 4, len(build_id), 3, b"GNU\0") + build_id


def module(
    *,
    build_id: bytes = BUILD_ID,
    srcversion: str = "ABC",
    debug: bool = True,
    name: str = "hello",
    variable: str = "count",
    section: str = ".data",
) -> bytes:
    """A module with a function, and a variable in `section`."""
    sections = [
        Sec(".text", TEXT),
        Sec(section, DATA),
        Sec(".init.text", TEXT),
        Sec(".note.gnu.build-id", SHF_ALLOC, note(build_id), type=SHT_NOTE),
        *([Sec(".debug_info", 0)] if debug else []),
    ]
    symbols = [
        Sym("hello.c", 0xFFF1, type=STT_FILE, bind=STB_LOCAL),
        Sym(variable, 2, 8, type=STT_OBJECT, bind=STB_LOCAL),
        Sym("init_module", 3, 0, type=STT_FUNC),
        Sym("begin", 3, 4, type=STT_FUNC),
        Sym("cleanup_module", 1, 8, type=STT_FUNC),
        Sym("last", 1, 32, type=STT_FUNC),
        Sym("greet", 1, 16, type=STT_FUNC),
    ]
    fields = f"name={name}\0srcversion={srcversion}\0vermagic={RELEASE} SMP\0license=GPL\0"
    return elf_object(sections, symbols, modinfo=os.fsencode(fields))


def vmlinux(text: int) -> bytes:
    """A kernel with its symbol `_text` at this address."""
    return elf_object([Sec(".text", TEXT), Sec(".debug_info", 0)], [Sym("_text", 1, text)])


@dataclass(frozen=True)
class System:
    """A made-up machine."""

    root: Path

    def write(self, path: str, contents: str | bytes) -> Path:
        """Make a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return file

    def install(self, contents: bytes, name: str = "hello.ko") -> Path:
        """Put a module into /lib/modules."""
        return self.write(f"lib/modules/{RELEASE}/kernel/drivers/{name}", contents)

    def load(self, sections: Mapping[str, str] = ADDRESSES, *, build_id: bytes = BUILD_ID) -> None:
        """Let sysfs show the module as loaded."""
        self.write("sys/module/hello/initstate", "live\n")
        self.write("sys/module/hello/srcversion", "ABC\n")
        self.write("sys/module/hello/notes/.note.gnu.build-id", note(build_id))
        for name, address in sections.items():
            self.write(f"sys/module/hello/sections/{name}", f"{address}\n")


KERNEL = RunningKernel(RELEASE, "", {}, "", None, True, "/sys/kernel/tracing", "/proc/dynamic_debug/control")


def made_up_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A machine with the module installed and loaded, and nothing in the way; the working directory is an empty one."""
    """A machine with the module installed and loaded, and nothing in the way."""
    found = System(tmp_path / "root")
    found.write("proc/sys/kernel/osrelease", f"{RELEASE}\n")
    found.write("proc/kcore", b"")
    found.write("proc/kallsyms", "0000000000000000 A fixed_percpu_data\nffffffff81000000 T _text\n")
    found.write("proc/mounts", "tracefs /sys/kernel/tracing tracefs rw 0 0\n")
    found.write("proc/dynamic_debug/control", "")
    found.write(f"usr/lib/debug/boot/vmlinux-{RELEASE}", vmlinux(0xFFFFFFFF81000000))
    found.install(module())
    found.load()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return found


def called(system: System, *words: str) -> int:
    """The exit status of the command."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return print_commands(parser.parse_args(list(words)), system.root)


@dataclass(frozen=True)
class Said:
    """The answer of the command."""

    status: int
    answer: dict[str, Any]
    error: str

    def tool(self, name: str) -> dict[str, Any]:
        """The part about one tool."""
        [found] = [each for each in self.answer["tools"] if each["tool"] == name]
        assert isinstance(found, dict)
        return found


def asked(system: System, capsys: pytest.CaptureFixture[str], *words: str) -> Said:
    """What the command says in JSON."""
    status = called(system, *words, "--format", "json")
    said = capsys.readouterr()
    return Said(status, json.loads(said.out), said.err)


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user who may read nothing of mode 0, also where the tests are run by root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if before == 0:
            os.seteuid(0)


def with_address(contents: bytes, name: str) -> bytes:
    """The module, with an address in the header of section `name`."""
    image = ModuleImage(contents, "hello.ko")
    section = image.section(name)
    assert section
    changed = bytearray(contents)
    struct.pack_into("<Q", changed, image.header.e_shoff + section.index * image.header.e_shentsize + 16, 0x60)
    return bytes(changed)
