# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy debug` over machines that lack something: what is said, and what is left."""

from __future__ import annotations

import lzma
import shlex
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.packages import debug_kernel_hint
from tests.support.made_up_machine import (
    ADDRESSES,
    BUILD_ID,
    RELEASE,
    System,
    asked,
    called,
    made_up_machine,
    module,
    with_address,
    without_rights,
)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A machine with the module installed and loaded, and nothing in the way."""
    return made_up_machine(tmp_path, monkeypatch)


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
