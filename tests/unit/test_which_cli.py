# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy which`: at which step a name stops, and what is said of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.run import run
from tests.support.command_line import Called, call
from tests.support.modprobe_roots import DIRECTORY, RELEASE, module, write

pytestmark = pytest.mark.skipif(
    not shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin:/bin"), reason="depmod is not installed"
)


def depmod(root: Path) -> None:
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        file = root / DIRECTORY.lstrip("/") / name
        if not file.exists():
            file.touch()
    (root / "none").mkdir(exist_ok=True)
    run(["/sbin/depmod", "-C", root / "none", "-b", root, RELEASE])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with a few modules."""
    write(tmp_path, f"{DIRECTORY}/kernel/drv-a.ko", module("drv-a", needs=["lib_b"], fields=["alias=acme:v1*"]))
    write(tmp_path, f"{DIRECTORY}/kernel/lib_b.ko", module("lib_b"))
    write(tmp_path, f"{DIRECTORY}/kernel/alone.ko", module("alone", fields=["alias=acme:v1d2*"]))
    write(tmp_path, f"{DIRECTORY}/modules.builtin", "kernel/core.ko\n")
    depmod(tmp_path)
    return tmp_path


def which(root: Path, *words: str, status: int | None = None) -> list[dict[str, Any]]:
    called = call("which", "--root", root, "--format", "json", *words, cwd=root, KBUILDPY_CACHE=str(root / "cache"))
    if status is not None:
        assert called.returncode == status, called
    return [json.loads(line) for line in called.text.splitlines()]


def text(root: Path, *words: str) -> Called:
    return call("which", "--root", root, *words, cwd=root, KBUILDPY_CACHE=str(root / "cache"))


def test_says_the_file_and_what_is_loaded_before(root: Path) -> None:
    [found] = which(root, "--lookup", "drv_a", status=0)
    assert found["loads"] is True
    assert found["file"] == f"{DIRECTORY}/kernel/drv-a.ko"
    assert [step["name"] for step in found["order"]] == ["lib_b", "drv_a"]
    [same] = which(root, "--lookup", "drv-a", status=0)
    assert same | {"asked": "drv_a"} == found


def test_an_alias_may_mean_several_modules(root: Path) -> None:
    found = which(root, "--lookup", "acme:v1d2", status=0)
    assert sorted(each["name"] for each in found) == ["alone", "drv_a"]
    assert {each["alias"] for each in found} == {"acme:v1d2"}


def test_what_is_built_in_needs_no_file(root: Path) -> None:
    [found] = which(root, "core", status=0)
    assert found["built_in"] and found["loads"] and found["file"] is None


def test_without_a_kernel_to_ask_nothing_is_said_of_the_loader(root: Path) -> None:
    [found] = which(root, "alone", status=1)
    assert found["loads"] is None
    assert found["stops_at"] == "loader"
    assert "installed" in found["because"]


def stops(root: Path, name: str) -> dict[str, Any]:
    [found] = which(root, name, status=1)
    assert found["loads"] is False
    assert found["hint"], "it says what to do"
    said = text(root, "--why-not", name)
    assert said.returncode == 1
    assert "STOP" in said.text and found["stops_at"] in said.text
    return found


def test_stops_at_a_name_that_means_nothing(root: Path) -> None:
    found = stops(root, "drv_aa")
    assert (found["stops_at"], found["name"]) == ("name", None)
    assert "did you mean drv_a?" in found["hint"]


def test_stops_at_a_file_that_depmod_has_not_seen(root: Path) -> None:
    write(root, f"{DIRECTORY}/extra/late.ko", module("late"))
    found = stops(root, "late")
    assert found["stops_at"] == "name"
    assert "extra/late.ko" in found["because"] and found["hint"] == f"depmod -b {root} {RELEASE}"


def test_stops_where_depmod_never_ran(root: Path) -> None:
    (root / DIRECTORY.lstrip("/") / "modules.dep.bin").unlink()
    assert "modules.dep.bin" in stops(root, "alone")["because"]


def test_names_another_kernel_that_has_it(root: Path) -> None:
    other = root / "lib/modules/8.8.0-other"
    shutil.copytree(root / DIRECTORY.lstrip("/"), other)
    (root / DIRECTORY.lstrip("/") / "kernel/alone.ko").unlink()
    depmod(root)
    [found] = which(root, "alone", "-k", RELEASE, status=1)
    assert "other kernels here have it: 8.8.0-other" in found["hint"]


def test_a_blacklist_stops_an_alias_and_not_a_name(root: Path) -> None:
    write(root, "etc/modprobe.d/b.conf", "# no\nblacklist alone\n")
    by_alias = {each["name"]: each for each in which(root, "--lookup", "acme:v1d2", status=1)}
    assert by_alias["alone"]["stops_at"] == "blacklist"
    assert "/etc/modprobe.d/b.conf:2" in by_alias["alone"]["because"]
    assert by_alias["drv_a"]["loads"] is True
    [found] = which(root, "--lookup", "alone", status=0)
    assert [each["kind"] for each in found["findings"]] == ["blacklist"]


def test_stops_at_an_install_command_that_loads_nothing(root: Path) -> None:
    write(root, "etc/modprobe.d/b.conf", "install alone /bin/false\ninstall lib_b /usr/bin/true # never\n")
    assert stops(root, "alone")["stops_at"] == "install command"
    assert stops(root, "drv_a")["stops_at"] == "dependencies"
    write(root, "etc/modprobe.d/b.conf", "install alone /sbin/modprobe --ignore-install alone && touch /x\n")
    [found] = which(root, "--lookup", "alone", status=0)
    assert found["install"].startswith("/sbin/modprobe")
    write(root, "etc/modprobe.d/b.conf", "install alone /opt/own-script\n")
    [found] = which(root, "--lookup", "alone", status=1)
    assert (found["loads"], found["stops_at"]) == (None, "install command")


def test_stops_at_files_that_are_gone(root: Path) -> None:
    (root / DIRECTORY.lstrip("/") / "kernel/lib_b.ko").unlink()
    assert stops(root, "drv_a")["stops_at"] == "dependencies"
    found = stops(root, "lib_b")
    assert found["stops_at"] == "file"
    assert "depmod" in found["hint"]


def test_stops_at_an_alias_that_leads_nowhere(root: Path) -> None:
    write(root, "etc/modprobe.d/b.conf", "alias mine off\nalias yours mine\n")
    assert "switches mine off" in stops(root, "mine")["because"]
    assert "no module" in stops(root, "yours")["because"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("quiet module_blacklist=other,lib_b", "drv_a"),
        ("module_blacklist=alone", "alone"),
        ("nomodule", "alone"),
        ('nomodule=1 "root=/dev/x y"', "alone"),
    ],
)
def test_stops_at_parameters_of_the_kernel(words: str, name: str, root: Path) -> None:
    write(root, "proc/cmdline", f"{words} -- init=x\n")
    assert stops(root, name)["stops_at"] == "kernel parameters"


@pytest.mark.parametrize(
    "words", ["module_blacklist=alone module_blacklist=x", "nomodule=0", "-- nomodule", "nomodules"]
)
def test_other_parameters_stop_nothing(words: str, root: Path) -> None:
    write(root, "proc/cmdline", f"{words}\n")
    which(root, "--lookup", "alone", status=0)


def test_a_copy_that_depmod_would_take_now_is_told(root: Path) -> None:
    write(root, f"{DIRECTORY}/updates/alone.ko", module("alone"))
    [found] = which(root, "--lookup", "alone", status=0)
    assert found["file"].endswith("kernel/alone.ko")
    kinds = {each["kind"]: each for each in found["findings"]}
    assert "depmod would now take" in kinds["stale-index"]["text"]
    assert {(each["file"].removeprefix(DIRECTORY), each["indexed"], each["taken"]) for each in found["files"]} == {
        ("/kernel/alone.ko", True, False),
        ("/updates/alone.ko", False, True),
    }
    depmod(root)
    [found] = which(root, "--lookup", "alone", status=0)
    assert found["file"].endswith("updates/alone.ko")
    assert [each["kind"] for each in found["findings"]] == ["other-copy"]


def test_a_file_that_was_written_after_depmod_ran_is_told(root: Path) -> None:
    file = root / DIRECTORY.lstrip("/") / "kernel/alone.ko"
    later = file.stat().st_mtime + 60
    os.utime(file, (later, later))
    [found] = which(root, "--lookup", "alone", status=0)
    assert "was written after depmod ran" in found["findings"][0]["text"]


def test_what_a_file_needs_and_the_index_does_not_is_told(root: Path) -> None:
    file = root / DIRECTORY.lstrip("/") / "kernel/alone.ko"
    file.write_bytes(module("alone", needs=["lib_b"]))
    [found] = which(root, "alone", status=1)
    assert any("needs lib_b, and the index does not" in each["text"] for each in found["findings"])


def test_options_come_from_files_and_the_command_line(root: Path) -> None:
    write(root, "usr/lib/modprobe.d/z.conf", "options alone a=1\n")
    write(root, "etc/modprobe.d/a.conf", "options alone b=2\n")
    write(root, "proc/cmdline", "alone.c=3\n")
    [found] = which(root, "--lookup", "alone", status=0)
    assert found["options"] == "b=2 a=1 c=3"


def test_another_kernel_is_taken_where_the_running_one_has_no_modules(root: Path) -> None:
    said = text(root, "--lookup", "alone")
    assert said.returncode == 0
    assert f"took the newest one that has: {RELEASE}" in said.error_text
    assert said.text.startswith(f"alone for {RELEASE}: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["./alone.ko"], "a path, and not a name"),
        (["/x/alone.ko"], "kbuildpy check"),
        ([""], "an empty name"),
        (["alone", "-k", "1.2.3-none"], "1.2.3-none"),
        (["alone", "--lookup", "--lockdown"], "--lookup looks at no signature"),
        (["alone", "--cert", "none.pem"], "--cert"),
    ],
)
def test_a_wrong_call_is_said(words: list[str], said: str, root: Path) -> None:
    called = text(root, *words)
    assert called.returncode == 2
    assert said in called.error_text
    assert called.text == ""


def test_a_root_that_is_not_there_is_a_wrong_call(tmp_path: Path) -> None:
    assert call("which", "x", "--root", tmp_path / "none", cwd=tmp_path).returncode == 2
    empty = call("which", "x", "--root", tmp_path, cwd=tmp_path)
    assert empty.returncode == 2 and "no kernel with modules" in empty.error_text


def test_a_damaged_index_is_an_error_without_a_traceback(root: Path) -> None:
    file = root / DIRECTORY.lstrip("/") / "modules.dep.bin"
    file.write_bytes(file.read_bytes()[:20])
    called = text(root, "alone")
    assert called.returncode == 1
    assert "a damaged index" in called.error_text and "depmod" in called.error_text


def test_an_empty_index_names_nothing(root: Path) -> None:
    """As depmod writes it where no image's list of what is built in is installed."""
    (root / DIRECTORY.lstrip("/") / "modules.builtin.bin").write_bytes(b"")
    called = text(root, "alone")
    assert called.text and "index" not in called.error_text


def test_a_damaged_module_stops_at_its_file(root: Path) -> None:
    write(root, f"{DIRECTORY}/kernel/packed.ko.xz", b"\xfd7zXZ\0cut off")
    run(["/sbin/depmod", "-C", root / "none", "-b", root, RELEASE], check=False)
    [found] = which(root, "packed", status=1)
    assert found["loads"] is False and found["stops_at"] == "file"


def test_names_cannot_control_the_terminal(root: Path) -> None:
    write(root, "etc/modprobe.d/b.conf", "alias \x1b[31mx alone\nblacklist alone\n")
    called = text(root, "--why-not", "x\x1b[2J\n")
    assert "\x1b" not in called.text + called.error_text
    called = text(root, "--lookup", "\x1b[31mx")
    assert "\x1b" not in called.text


def test_the_text_is_short_and_says_what_matters(root: Path) -> None:
    write(root, "etc/modprobe.d/s.conf", "softdep drv_a pre: alone\noptions drv_a a=1\n")
    said = text(root, "--lookup", "-k", RELEASE, "acme:v1x")
    assert said.error_text == ""
    assert said.text.splitlines() == [
        f"acme:v1x: drv_a for {RELEASE}: modprobe would load it",
        "  found as      an alias of the module",
        f"  file          {DIRECTORY}/kernel/drv-a.ko",
        "  needs         lib_b",
        "  softly        alone",
        "  options       a=1",
    ]
    said = text(root, "--lookup", "--why-not", "-k", RELEASE, "drv-a")
    assert said.text.splitlines() == [
        f"drv-a: drv_a for {RELEASE}: modprobe would load it",
        "  ok   name               a module's name",
        "  ok   blacklist          not blacklisted",
        "  ok   kernel parameters  the kernel refuses none of the modules by its parameters",
        "  ok   install command    none",
        f"  ok   file               {DIRECTORY}/kernel/drv-a.ko",
        "  ok   dependencies       loaded before it: lib_b",
    ]
    said = text(root, "core", "-k", RELEASE)
    assert said.text == f"core for {RELEASE}: is built in\n"
    said = text(root, "--lookup", "--why-not", "-k", RELEASE, "alone")
    assert said.text.splitlines()[-1].endswith("it needs no other module")


def test_the_steps_of_modprobe_name_files_and_commands(root: Path) -> None:
    write(root, "etc/modprobe.d/b.conf", "install lib_b /sbin/modprobe -i lib-b\nsoftdep drv_a pre: alone core\n")
    [found] = which(root, "--lookup", "drv_a", status=0)
    assert [(each["does"], each["name"], each["required"], each["command"]) for each in found["order"]] == [
        ("install", "lib_b", True, "/sbin/modprobe -i lib-b"),
        ("insmod", "alone", False, None),
        ("builtin", "core", False, None),
        ("insmod", "drv_a", True, None),
    ]
    # (a module with soft dependencies is loaded past its own command)
    write(root, "etc/modprobe.d/b.conf", "install drv_a /bin/false\nsoftdep drv_a pre: alone\n")
    [found] = which(root, "--lookup", "drv_a", status=0)
    assert found["install"] is None and found["order"][-1]["command"] is None
    assert "kmod loads it all the same" in next(
        each["text"] for each in found["steps"] if each["step"] == "install command"
    )


@pytest.mark.parametrize(
    "command", ["/sbin/modprobe alone", "/sbin/modprobe -i other", "echo -i alone", "/bin/falsehood", "/bin/false2"]
)
def test_what_another_command_does_is_not_guessed(command: str, root: Path) -> None:
    write(root, "etc/modprobe.d/b.conf", f"install alone {command}\n")
    [found] = which(root, "--lookup", "alone", status=1)
    assert (found["loads"], found["stops_at"]) == (None, "install command")


def test_soft_dependencies_that_come_to_nothing_are_told(root: Path) -> None:
    write(root, "etc/modprobe.d/b.conf", "softdep alone pre: nosuch post: lib_b\ninstall lib_b /bin/true\n")
    [found] = which(root, "--lookup", "alone", status=0)
    texts = [each["text"] for each in found["findings"] if each["kind"] == "soft-dependency"]
    assert texts == [
        "/etc/modprobe.d/b.conf:1 names nosuch, which this kernel does not have",
        "lib_b is not loaded: /etc/modprobe.d/b.conf:2",
    ]


def test_why_one_of_two_copies_is_taken_is_told(root: Path) -> None:
    write(root, f"{DIRECTORY}/extra/alone.ko", module("alone"))

    def told() -> str:
        [found] = which(root, "--lookup", "alone", status=0)
        [copies] = [each for each in found["findings"] if each["kind"] == "other-copy"]
        return f"{copies['text']} {copies['hint']}"

    assert "only the order in which the file system tells them" in told() and "override alone * DIR" in told()
    write(root, "etc/depmod.d/a.conf", "search kernel extra\n")
    assert "depmod takes kernel/alone.ko, not extra/alone.ko, because depmod.d says: search kernel extra" in told()
    write(root, "etc/depmod.d/a.conf", "override alone * extra\n")
    assert "depmod takes extra/alone.ko, not kernel/alone.ko, because depmod.d says: override alone in extra" in told()


def test_a_kernel_that_loads_no_modules_any_more_stops_them(root: Path) -> None:
    write(root, "proc/sys/kernel/modules_disabled", "1\n")
    which(root, "--lookup", "alone", status=0)
    write(root, "proc/sys/kernel/osrelease", f"{RELEASE}\n")
    assert stops(root, "alone")["stops_at"] == "kernel parameters"
    write(root, "proc/sys/kernel/modules_disabled", "0\n")
    said = text(root, "--lookup", "-k", "running", "alone")
    assert said.returncode == 0 and said.error_text == ""


def test_a_loaded_module_of_another_build_is_told(root: Path) -> None:
    write(root, "proc/sys/kernel/osrelease", f"{RELEASE}\n")
    write(root, "sys/module/alone/initstate", "live\n")

    def told() -> list[str]:
        [found] = which(root, "alone", "-k", RELEASE)
        return [each["text"] for each in found["findings"] if each["kind"] == "loaded"]

    assert told() == ["it is loaded already: modprobe does nothing"]
    write(root, "sys/module/alone/notes/.note.gnu.build-id", b"another build")
    assert "from another build" in told()[0]
    write(root, "sys/module/alone/notes/.note.gnu.build-id", b"name=alone")
    assert told() == ["it is loaded already: modprobe does nothing"]


def test_lists_of_what_is_loaded_at_boot_are_told(root: Path) -> None:
    write(root, "etc/modules-load.d/x.conf", "alone\n")
    [found] = which(root, "--lookup", "alone", status=0)
    assert [each["text"] for each in found["findings"]] == ["loaded at boot because of /etc/modules-load.d/x.conf:1"]
