# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy preflight` on made-up machines with real modules; their settings as modprobe reads them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.preflight.machine import settings
from kbuildpy.run import run
from tests.support.builds import make
from tests.support.command_line import Called, call
from tests.support.kernel_trees import trees, usual_tree

pytestmark = pytest.mark.parity

OLD = "6.1.0-1-made-up"
SOURCES = {
    "Kbuild": "obj-m := good.o maker.o user.o closed.o\n",
    "good.c": '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n',
    "maker.c": (
        "#include <linux/module.h>\nint made(void);\nint made(void) { return 0; }\nEXPORT_SYMBOL_GPL(made);\n"
        'MODULE_LICENSE("GPL");\n'
    ),
    "user.c": (
        "#include <linux/module.h>\nint made(void);\nstatic int __init user_init(void) { return made(); }\n"
        'module_init(user_init);\nMODULE_LICENSE("GPL");\n'
    ),
    "closed.c": (
        "#include <linux/module.h>\n#include <linux/device.h>\nstatic int __init closed_init(void)\n"
        '{ put_device(NULL); return 0; }\nmodule_init(closed_init);\nMODULE_LICENSE("GPL");\n'
    ),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the modules, built for the usual tree. `closed` says afterwards that it is proprietary."""
    place = tmp_path_factory.mktemp("preflight")
    for name, text in SOURCES.items():
        (place / name).write_text(text)
    done = make(usual_tree(), place)
    assert done.returncode == 0, done.error_text
    alone = place / "alone"
    alone.mkdir()
    (alone / "Kbuild").write_text("obj-m := orphan.o\n")
    (alone / "orphan.c").write_text(SOURCES["user.c"])
    done = make(usual_tree(), alone, ["KBUILD_MODPOST_WARN=1"])
    assert done.returncode == 0, done.error_text
    closed = place / "closed.ko"
    closed.write_bytes(closed.read_bytes().replace(b"license=GPL\0", b"license=XYZ\0"))
    return place


@dataclass(frozen=True)
class Machine:
    """A made-up machine, whose other kernel is that of `tree`."""

    root: Path
    tree: KernelTree

    def write(self, path: str, text: str = "") -> None:
        """Make a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def install(self, module: Path, release: str, folder: str) -> Path:
        """Copy a module to lib/modules/RELEASE."""
        place = self.root / "lib/modules" / release / folder
        place.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(module, place))

    def preflight(self, *words: str | Path) -> Called:
        """What the command says of it."""
        fixed = ("preflight", "--root", self.root, "--from", OLD, "--to", self.tree.objects)
        return call(*fixed, *words, cwd=self.root)

    def states(self, *words: str | Path) -> dict[str, str]:
        """The state of each module."""
        return {each["module"]: each["state"] for each in self.objects(*words) if "module" in each and "state" in each}

    def objects(self, *words: str | Path) -> list[dict[str, Any]]:
        """What is printed as JSON."""
        called = self.preflight("--format", "json", *words)
        found = [json.loads(line) for line in called.text.splitlines()]
        assert called.returncode == any(each["lost"] for each in found), called.error_text
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "root", usual_tree())
    made.write(f"lib/modules/{made.tree.release}/kernel/empty")
    made.write(f"lib/modules/{OLD}/kernel/empty")
    return made


def test_a_module_that_is_not_installed_for_the_other_kernel_is_lost_although_it_would_load(
    machine: Machine, built: Path
) -> None:
    file = machine.install(built / "good.ko", OLD, "updates")
    [found] = machine.objects()
    assert (found["module"], found["state"], found["file"]) == ("good", "copy", str(file))
    assert found["hint"] == f"kbuildpy install {file} -k {machine.tree.release}"


def test_one_that_is_installed_for_it_and_one_that_it_comes_with_are_not_lost(machine: Machine, built: Path) -> None:
    machine.write("proc/modules", "good 16384 0 - Live 0x0\nmaker 16384 0 - Live 0x0\nbuilt 1 0 - Live 0x0\n")
    machine.install(built / "good.ko", machine.tree.release, "updates/dkms")
    machine.install(built / "maker.ko", machine.tree.release, "kernel/drivers")
    machine.write(f"lib/modules/{machine.tree.release}/modules.builtin", "kernel/lib/built.ko\n")
    assert machine.states() == {"good": "installed", "maker": "shipped", "built": "built-in"}
    assert machine.preflight().returncode == 0


def test_a_loaded_module_that_the_other_kernel_does_not_have_is_missing(machine: Machine, built: Path) -> None:
    machine.write("proc/modules", "maker 16384 0 - Live 0x0\nunknown 16384 0 - Live 0x0\n")
    machine.install(built / "maker.ko", OLD, "kernel/drivers")
    assert machine.states() == {"maker": "missing", "unknown": "missing"}


def test_symbols_that_are_gone_or_closed_make_a_module_impossible(machine: Machine, built: Path) -> None:
    machine.install(built / "alone/orphan.ko", OLD, "updates")
    machine.install(built / "closed.ko", OLD, "extra")
    found = {each["module"]: each for each in machine.objects()}
    assert (found["orphan"]["state"], found["orphan"]["symbols"]) == ("impossible", ["made"])
    assert (found["closed"]["state"], found["closed"]["symbols"]) == ("impossible", ["put_device"])
    assert "for GPL-compatible modules only" in found["closed"]["reason"]


def test_a_module_that_needs_one_which_is_nowhere_is_told_so(machine: Machine, built: Path) -> None:
    machine.install(built / "user.ko", OLD, "updates")
    [found] = machine.objects()
    assert (found["state"], found["symbols"]) == ("needs", ["made"])
    assert "it needs maker" in found["reason"]


def test_modules_that_need_each_other_are_judged_together(machine: Machine, built: Path) -> None:
    for name in ("maker.ko", "user.ko"):
        machine.install(built / name, OLD, "updates")
    assert machine.states() == {"maker": "copy", "user": "copy"}


def test_another_line_of_kernels_asks_for_a_rebuild_and_names_the_sources(machine: Machine, built: Path) -> None:
    other = next((tree for tree in trees() if tree.version[:2] != machine.tree.version[:2]), None)
    if other is None:
        pytest.skip("headers of one kernel line only")
    moved = Machine(machine.root, other)
    machine.install(built / "good.ko", OLD, "updates")
    [found] = moved.objects()
    assert found["state"] == "rebuild"
    assert "no sources with a dkms.conf" in found["hint"]
    machine.write(
        "usr/src/good-1.0/dkms.conf", 'PACKAGE_NAME="good"\nPACKAGE_VERSION="1.0"\nBUILT_MODULE_NAME[0]=good\n'
    )
    [found] = moved.objects()
    assert (found["dkms"], found["source"]) == ("good/1.0", str(machine.root / "usr/src/good-1.0"))
    assert found["hint"].endswith(f"kbuildpy dkms install good/1.0 -k {other.release}")


def test_what_has_sources_is_built_and_judged_if_asked_for(machine: Machine, built: Path) -> None:
    conf = "PACKAGE_NAME={0}\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME[0]={0}\nDEST_MODULE_LOCATION[0]=/updates\n{1}"
    sources = {
        "good": (SOURCES["good.c"], ""),
        "closed": (SOURCES["closed.c"], ""),
        "orphan": (SOURCES["user.c"], ""),
        "maker": ("#error it no longer compiles\n", ""),
        "user": (SOURCES["good.c"], "BUILD_EXCLUSIVE_KERNEL=^4[.]\n"),
    }
    for name, (text, more) in sources.items():
        machine.write(f"usr/src/{name}-1.0/{name}.c", text)
        machine.write(f"usr/src/{name}-1.0/Kbuild", f"obj-m := {name}.o\n")
        machine.write(f"usr/src/{name}-1.0/dkms.conf", conf.format(name, more))
        machine.install(
            next(path for path in (built, built / "alone") if (path / f"{name}.ko").exists()) / f"{name}.ko",
            OLD,
            "updates/dkms",
        )
    assert machine.states()["closed"] == "impossible"
    found = {each["module"]: each for each in machine.objects("--build")}
    states = {name: each["state"] for name, each in found.items()}
    # (the file that is installed is proprietary, its sources are not; `maker` would have the symbol, but is not built)
    assert states == {
        "good": "builds",
        "closed": "builds",
        "orphan": "unbuildable",
        "maker": "unbuildable",
        "user": "unbuildable",
    }
    assert "it no longer compiles" in found["maker"]["reason"]
    assert "made" in found["orphan"]["reason"]
    assert "BUILD_EXCLUSIVE" in found["user"]["reason"] or "^4[.]" in found["user"]["reason"]
    assert sorted(path.name for path in (machine.root / "usr/src/good-1.0").iterdir()) == [
        "Kbuild",
        "dkms.conf",
        "good.c",
    ]


def test_a_kernel_that_enforces_signatures_does_not_take_an_unsigned_module(machine: Machine, built: Path) -> None:
    machine.install(built / "good.ko", machine.tree.release, "updates")
    assert machine.states("--sig-enforce", built / "good.ko") == {"good": "signature"}
    assert machine.states(built / "good.ko") == {"good": "loads"}


def test_the_one_that_modprobe_takes_of_several_files_is_told(machine: Machine, built: Path) -> None:
    machine.write("proc/modules", "good 16384 0 - Live 0x0\n")
    for folder in ("kernel/drivers", "updates"):
        machine.install(built / "good.ko", machine.tree.release, folder)
    [found] = machine.objects()
    assert (found["state"], found["shadowed"]) == ("installed", ["updates/good.ko", "kernel/drivers/good.ko"])
    run(["depmod", "-b", machine.root, machine.tree.release])
    listed = (machine.root / "lib/modules" / machine.tree.release / "modules.dep").read_text()
    assert listed.startswith("updates/good.ko:")


def test_settings_that_name_a_module_which_is_gone_are_told(machine: Machine, built: Path) -> None:
    machine.install(built / "maker.ko", OLD, "kernel/drivers")
    machine.write("etc/modprobe.d/a.conf", "# options good x=1\noptions maker \\\n  x=1\nblacklist other\n")
    machine.write("etc/modules", "# a list\nmaker\n")
    found = [(each["file"], each["line"], each["lost"]) for each in machine.objects() if "setting" in each]
    assert found == [("/etc/modprobe.d/a.conf", 2, False), ("/etc/modules", 2, True)]


def test_settings_are_read_as_modprobe_reads_them(tmp_path: Path) -> None:
    text = "options a-b x=1 \\\n y=2\n  blacklist c_d\n\n# blacklist no\nblacklist e # comment?\nalias f g\n"
    folder = tmp_path / "etc/modprobe.d"
    folder.mkdir(parents=True)
    (folder / "one.conf").write_text(text)
    (folder / "ignored.txt").write_text("blacklist ignored\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    # (modprobe adds what the running kernel's command line says)
    shown, always = (
        run(["modprobe", "-C", place, "-c", "-S", "none"], check=False).text.splitlines() for place in (folder, empty)
    )
    lines = [line for line in shown if line not in always and line.startswith(("options ", "blacklist "))]
    theirs = {tuple(line.split()[:2]) for line in lines}
    ours = {(each.text.split()[0], each.module) for each in settings(tmp_path)}
    assert ours == theirs


def test_wrong_calls_end_with_status_2(machine: Machine) -> None:
    for words in (["nosuch"], ["./nosuch.ko"], ["--to", "nosuch"], ["--from", "no/such"], ["--cert", "nosuch"]):
        called = machine.preflight(*words)
        assert called.returncode == 2, words
        assert called.error_text.startswith("kbuildpy: error: ")
