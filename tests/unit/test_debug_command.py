# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy debug` over systems that are made up: what sysfs and /proc may say, and what is printed then."""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import os
import shlex
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from kbuildpy.cli.debug import add_arguments, print_commands
from kbuildpy.debug.live_tools import Site, TraceEvent, debug_message_commands, trace_commands
from kbuildpy.debug.running_kernel import RunningKernel, read_running_kernel
from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import SHF_ALLOC, SHT_NOTE, STB_LOCAL, STT_FILE, STT_FUNC, STT_OBJECT
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.packages import debug_kernel_hint
from tests.support.documents import json_keys
from tests.support.elf_objects import DATA, TEXT, Sec, Sym, elf_object

RELEASE = "6.1.0-made-up"
BUILD_ID = bytes(range(20))
ADDRESSES = {".text": "0xffffffffc0301000", ".data": "0xffffffffc0303000", ".init.text": "0xffffffffc0305000"}


def note(build_id: bytes) -> bytes:
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
    return elf_object([Sec(".text", TEXT), Sec(".debug_info", 0)], [Sym("_text", 1, text)])


@dataclass(frozen=True)
class System:
    """A made-up machine."""

    root: Path

    def write(self, path: str, contents: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return file

    def install(self, contents: bytes, name: str = "hello.ko") -> Path:
        return self.write(f"lib/modules/{RELEASE}/kernel/drivers/{name}", contents)

    def load(self, sections: Mapping[str, str] = ADDRESSES, *, build_id: bytes = BUILD_ID) -> None:
        self.write("sys/module/hello/initstate", "live\n")
        self.write("sys/module/hello/srcversion", "ABC\n")
        self.write("sys/module/hello/notes/.note.gnu.build-id", note(build_id))
        for name, address in sections.items():
            self.write(f"sys/module/hello/sections/{name}", f"{address}\n")


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
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
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return print_commands(parser.parse_args(list(words)), system.root)


@dataclass(frozen=True)
class Said:
    status: int
    answer: dict[str, Any]
    error: str

    def tool(self, name: str) -> dict[str, Any]:
        [found] = [each for each in self.answer["tools"] if each["tool"] == name]
        assert isinstance(found, dict)
        return found


def asked(system: System, capsys: pytest.CaptureFixture[str], *words: str) -> Said:
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


# --- gdb


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


# --- What is missing


def test_who_may_not_read_the_addresses_gets_one_hint_and_the_other_tools(
    system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (system.root / "sys/module/hello/sections").iterdir():
        path.chmod(0)
    # (pytest's own directories are closed to other users)
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        shutil.copytree(system.root, Path(place, "root"))
        monkeypatch.chdir(place)
        with without_rights():
            said = asked(System(Path(place, "root")), capsys, "hello")
        monkeypatch.undo()
    assert said.status == 1
    assert said.error == (
        "kbuildpy: only root can read where hello is: /sys/module/hello/sections\n"
        "  run this command as root, with sudo\n"
    )
    assert said.answer["gdb_script"] == [] and said.tool("gdb")["commands"] == []
    assert said.tool("trace")["commands"] and said.tool("dyndbg")["commands"]


def test_addresses_that_the_kernel_hides_are_no_addresses(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.load(dict.fromkeys(ADDRESSES, "0x0000000000000000"))
    said = asked(system, capsys, "hello")
    assert said.status == 1
    assert "gives 0 for every address (kptr_restrict)\n  as root, with CAP_SYSLOG: sysctl" in said.error
    assert said.answer["gdb_script"] == [] and said.answer["sections"] == {}


def test_another_build_is_said(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    system.load(build_id=bytes(20))
    said = asked(system, capsys, "hello")
    assert (said.status, said.answer["same_build"]) == (1, False)
    assert "is not what is loaded as hello: its build id differs" in said.error
    assert "another build of the same sources" in said.error
    system.install(module(srcversion="DEF"))
    assert "differs (another build)" in asked(system, capsys, "hello").error


def test_without_build_ids_the_digests_of_the_sources_decide(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    (system.root / "sys/module/hello/notes/.note.gnu.build-id").unlink()
    assert asked(system, capsys, "hello").answer["same_build"] is True
    system.install(module(srcversion="DEF"))
    said = asked(system, capsys, "hello")
    assert said.answer["same_build"] is False
    assert "its srcversion differs" in said.error
    (system.root / "sys/module/hello/srcversion").unlink()
    said = asked(system, capsys, "hello")
    assert (said.status, said.answer["same_build"]) == (0, None)


def test_a_section_with_an_address_costs_a_copy_and_the_copy_has_none(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    file = system.install(with_address(module(), ".data"))
    said = asked(system, capsys, "hello")
    copy = Path.cwd() / "hello.gdb.ko"
    assert said.tool("gdb")["commands"][:-1] == [f"objcopy --change-section-address '*=0' {file} {copy}"]
    assert f"add-symbol-file {copy} 0x" in said.tool("gdb")["inside"][1]
    assert said.tool("drgn")["commands"][-1].endswith(f" -s {copy}")
    file = system.write("packed/hello.ko.xz", lzma.compress(with_address(module(), ".data")))
    said = asked(system, capsys, str(file))
    assert said.tool("gdb")["commands"][:-1] == [
        f"xz -dc {file} > {copy}",
        f"objcopy --change-section-address '*=0' {copy}",
    ]


def test_of_two_files_the_one_that_is_loaded_is_taken(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    built = Path("build", RELEASE, "hello.ko").absolute()
    built.parent.mkdir(parents=True)
    built.write_bytes(module(build_id=bytes(20)))
    assert asked(system, capsys, "hello").answer["file"].startswith(str(system.root))
    system.load(build_id=bytes(20))
    assert asked(system, capsys, "hello").answer["file"] == str(built)
    # (who names a file means it)
    system.load()
    said = asked(system, capsys, str(built))
    assert (said.answer["file"], said.status) == (str(built), 1)


def test_a_file_without_debug_information_is_said_and_a_separate_one_is_found(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    system.install(module(debug=False))
    said = asked(system, capsys, "hello")
    assert said.status == 1
    assert "has no debug information, and there is none in a file of its own" in said.error
    assert said.answer["debug_file"] is None
    number = BUILD_ID.hex()
    separate = system.write(f"usr/lib/debug/.build-id/{number[:2]}/{number[2:]}.debug", module())
    said = asked(system, capsys, "hello")
    assert (said.status, said.answer["debug_file"]) == (0, str(separate))
    assert f"add-symbol-file {separate} 0x" in said.tool("gdb")["inside"][1]
    assert shlex.split(said.tool("drgn")["commands"][0])[-1] == str(separate)


def test_a_module_that_is_not_loaded_is_said_with_how_to_load_it(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    # (what is built in has a directory too, without a state)
    (system.root / "sys/module/hello/initstate").unlink()
    said = asked(system, capsys, "hello")
    assert (said.status, said.answer["loaded"]) == (1, False)
    file = system.root / f"lib/modules/{RELEASE}/kernel/drivers/hello.ko"
    assert said.error == (
        f"kbuildpy: hello is not loaded in the running kernel {RELEASE}\n  load it, as root: insmod {file}\n"
    )
    system.write(f"lib/modules/{RELEASE}/modules.builtin", "kernel/drivers/hello.ko\n")
    assert "hello is built into the kernel" in asked(system, capsys, "hello").error


def test_a_name_that_nothing_has_is_an_error_with_the_name_that_is_near(system: System) -> None:
    with pytest.raises(KbuildError, match=f"helo is not loaded, and kernel {RELEASE} has no") as caught:
        called(system, "helo")
    assert (caught.value.hint, caught.value.status) == ("did you mean hello?", 1)


@pytest.mark.parametrize(("level", "forbids"), [("none", False), ("integrity", False), ("confidentiality", True)])
def test_lockdown_forbids_to_read_memory_from_confidentiality_on(
    level: str, forbids: bool, system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = ("none", "integrity", "confidentiality")
    text = " ".join(f"[{each}]" if each == level else each for each in levels)
    system.write("sys/kernel/security/lockdown", f"{text}\n")
    said = asked(system, capsys, "hello")
    assert (said.status, said.answer["lockdown"]) == (int(forbids), level)
    assert ("/proc/kcore cannot be read" in said.error) == forbids
    for tool in ("gdb", "drgn", "trace"):
        assert bool(said.tool(tool)["commands"]) != forbids


def test_kgdb_is_told_where_the_kernel_has_it(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    assert "kgdb" not in {each["tool"] for each in asked(system, capsys, "hello").answer["tools"]}
    system.write(f"boot/config-{RELEASE}", "CONFIG_KGDB=y\nCONFIG_KGDB_SERIAL_CONSOLE=y\n")
    said = asked(system, capsys, "hello")
    assert "echo ttyS0,115200 > /sys/module/kgdboc/parameters/kgdboc" in said.tool("kgdb")["commands"]
    assert said.tool("kgdb")["inside"][-1] == said.tool("gdb")["inside"][1]
    system.write(f"boot/config-{RELEASE}", "# CONFIG_KGDB is not set\nCONFIG_MODULES=y\n")
    said = asked(system, capsys, "hello")
    assert any("no kgdb" in each for each in said.tool("gdb")["notes"])


def test_a_damaged_file_is_passed_over_for_one_that_is_whole(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    built = Path("build", RELEASE, "hello.ko")
    built.parent.mkdir(parents=True)
    built.write_bytes(b"\x7fELF")
    assert asked(system, capsys, "hello").answer["file"].startswith(str(system.root))
    system.install(b"\x7fELF")
    with pytest.raises(KbuildError, match=r"build/.*hello\.ko"):
        called(system, "hello")


def test_a_loaded_module_without_a_file_is_said_with_where_it_was_looked_for(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    system.install(b"").unlink()
    said = asked(system, capsys, "hello")
    assert (said.status, said.answer["file"], said.answer["same_build"]) == (1, None, None)
    assert f"no file of the module hello in build/{RELEASE}, nor in /lib/modules/{RELEASE}" in said.error
    assert said.tool("dyndbg")["commands"][0] == "echo 'module hello +p' > /proc/dynamic_debug/control"
    assert said.tool("log")["commands"] == ["journalctl -k -f -g hello"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("ID=debian", "apt-get install linux-image-6.1-x-dbg"),
        ("ID=ubuntu\nID_LIKE=debian", "apt-get install linux-image-6.1-x-dbgsym (from ddebs.ubuntu.com)"),
        ("ID=fedora", "dnf debuginfo-install kernel-core-6.1-x"),
        ("", "install the debug information of kernel 6.1-x"),
    ],
)
def test_the_package_of_the_kernel_is_named_in_the_distributions_words(words: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text(words)
    assert debug_kernel_hint("6.1-x", os_release=tmp_path / "os-release") == hint
    with_id = debug_kernel_hint("6.1-x", "abc", os_release=tmp_path / "os-release")
    assert with_id == f"{hint}, or: debuginfod-find debuginfo abc"


# --- drgn


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


# --- The text


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


# --- Names that somebody made up


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


KERNEL = RunningKernel(RELEASE, "", {}, "", None, True, "/sys/kernel/tracing", "/proc/dynamic_debug/control")


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


# --- The kernel that runs


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


def test_nothing_is_changed(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in system.root.parent.rglob("*")}
    asked(system, capsys, "hello")
    assert {path: path.stat().st_mtime_ns for path in system.root.parent.rglob("*")} == before
