# SPDX-License-Identifier: GPL-2.0-only
"""The tree's own modpost beside ours, over the same objects.

`build` lets Kbuild compile modules and stop before the final link; `compare` runs both modposts over some of
them and asserts that files, messages and verdict are the same.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.known import KnownModules
from kbuildpy.modpost.layout_probe import parse, probe_source
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject, ObjectRecord
from kbuildpy.modpost.stage import modpost
from kbuildpy.run import run
from tests.support.packages import other_compiler

pytestmark = pytest.mark.parity


def native_trees() -> list[KernelTree]:
    """Installed trees whose modpost and compiler run on this machine."""
    wanted = {"x86_64": "CONFIG_X86_64", "aarch64": "CONFIG_ARM64"}.get(platform.machine(), "CONFIG_X86_64")
    return [tree for tree in installed_trees().trees if tree.config.get(wanted) == "y"]


TREES = native_trees()
each_tree = pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.release)


def relative_names(tree: KernelTree) -> bool:
    """Whether Kbuild works in the module's directory (from 6.13 on) and names objects relative to it."""
    return tree.version >= (6, 13)


@dataclass(frozen=True)
class Built:
    """A directory of compiled modules."""

    tree: KernelTree
    directory: Path

    @property
    def cwd(self) -> Path:
        """Where Kbuild runs modpost."""
        return self.directory if relative_names(self.tree) else self.tree.objects

    def nominal(self, name: str) -> str:
        """What Kbuild calls the module `name`."""
        return name if relative_names(self.tree) else str(self.directory / name)

    def module(self, name: str) -> ModuleObject:
        """Module `name` as our modpost wants it, its objects taken from the `.mod` file."""
        listing = self.directory / f"{name}.mod"
        # Up to 5.18 the objects stand in one line, and the next one is for what the module needs.
        text = listing.read_text() if listing.exists() else ""
        objects = text.partition("\n")[0].split(" ") if self.tree.version < (5, 19) else text.split("\n")
        records = tuple(
            ObjectRecord(object, (self.cwd / object).parent / f".{Path(object).name}.cmd")
            for object in objects
            if object
        )
        return ModuleObject(self.nominal(name), self.directory / f"{name}.o", records)


def build(tree: KernelTree, directory: Path, files: Mapping[str, str], *targets: str) -> Built:
    """Write `files` and have Kbuild make `targets` of them: everything up to, but without, the final link."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    variables = [f"M={directory}", "KBUILD_MODPOST_NOFINAL=1", "KBUILD_MODPOST_WARN=1", *other_compiler(tree)]
    done = run(["make", "-C", tree.objects, *variables, *targets], check=False)
    (directory / "make.log").write_bytes(done.stdout + done.stderr)
    return Built(tree, directory)


def layouts_of(tree: KernelTree, directory: Path, *variables: str) -> DeviceTableLayouts:
    """The device table layouts, compiled by Kbuild itself."""
    files = {"probe.c": probe_source(tree), "Kbuild": "obj-m := probe.o\n"}
    built = build(tree, directory, files, "probe.s", *variables)
    return parse((built.directory / "probe.s").read_bytes())


@dataclass(frozen=True)
class Outcome:
    """What a modpost wrote and said."""

    mod_c: dict[str, str]
    symvers: str | None
    namespace_deps: str | None
    messages: str
    failed: bool


def oracle(built: Built, names: Sequence[str], options: Sequence[str]) -> Outcome:
    """Run the tree's modpost."""
    program = built.tree.objects / "scripts/mod/modpost"
    real = program.resolve().with_name("modpost.real-lsb-64")
    listing, symvers, deps = (built.directory / name for name in ("listing", "out.symvers", "out.nsdeps"))
    listing.write_text("".join(f"{built.nominal(name)}.o\n" for name in names))
    written = {built.nominal(name): built.directory / f"{name}.mod.c" for name in names}
    for path in (symvers, deps, *written.values()):
        path.unlink(missing_ok=True)
    done = run([real if real.exists() else program, *options, "-o", symvers, "-T", listing], cwd=built.cwd, check=False)
    return Outcome(
        {name: _text(path) for name, path in written.items() if path.exists()},
        _text(symvers) if symvers.exists() else None,
        _text(deps) if deps.exists() else None,
        done.stderr.decode("utf-8", "surrogateescape"),
        done.returncode != 0,
    )


def ours(
    built: Built,
    names: Sequence[str],
    options: Sequence[str],
    layouts: DeviceTableLayouts | None,
    modules: Sequence[ModuleObject] = (),
    known: KnownModules | None = None,
) -> Outcome:
    """Run our modpost over the modules `names`, or over `modules`."""

    def given() -> DeviceTableLayouts:
        assert layouts is not None, "asked for device table layouts without a device table"
        return layouts

    result = modpost(
        modules or [built.module(name) for name in names],
        ModpostOptions.parse([*options, "-o", "out.symvers", "-T", "listing"]),
        tree=built.tree,
        cwd=built.cwd,
        layouts=given,
        known=known,
    )
    if known is not None:
        known.save()
    return Outcome(
        result.mod_c,
        result.symvers if result.wrote_symvers else None,
        result.namespace_deps,
        "".join(diagnostic.text for diagnostic in result.diagnostics),
        result.failed,
    )


def compare(
    built: Built, names: Sequence[str], options: Sequence[str], layouts: DeviceTableLayouts | None = None
) -> Outcome:
    """Assert that both modposts do the same, ours also where it reads nothing again; returns what they did."""
    expected = oracle(built, names, options)
    place = built.directory / "known.json"
    place.unlink(missing_ok=True)
    for _ in range(2):
        found = ours(built, names, options, layouts, known=KnownModules(place, "here"))
        assert found.messages == expected.messages
        assert found.failed == expected.failed
        assert found.mod_c == expected.mod_c
        assert found.symvers == expected.symvers
        assert found.namespace_deps == expected.namespace_deps
    return expected


def usual_options(built: Built) -> list[str]:
    """What the tree's Makefile.modpost passes for an external module."""
    tree = built.tree
    flags = ["-e", "-i", str(tree.symvers)]
    flags += ["-M"] if tree.version >= (6, 4) else []
    for letter, symbol in (
        ("-m", "CONFIG_MODVERSIONS"),
        ("-b", "CONFIG_BASIC_MODVERSIONS"),
        ("-x", "CONFIG_EXTENDED_MODVERSIONS"),
        ("-a", "CONFIG_MODULE_SRCVERSION_ALL"),
    ):
        flags += [letter] if tree.config.get(symbol) == "y" else []
    return flags


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


HELLO = """\
#include <linux/module.h>
static int __init hello_init(void) { pr_info("hello\\n"); return 0; }
static void __exit hello_exit(void) { }
module_init(hello_init);
module_exit(hello_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("hello");
MODULE_VERSION("1");
"""


@each_tree
def test_a_small_module_gets_the_same_mod_c(tree: KernelTree, tmp_path: Path) -> None:
    built = build(tree, tmp_path, {"hello.c": HELLO, "Kbuild": "obj-m := hello.o\n"}, "modules")
    outcome = compare(built, ["hello"], usual_options(built))
    assert outcome.mod_c and outcome.messages == ""


@pytest.mark.skipif(not TREES, reason="no kernel headers here")
def test_an_object_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    tree = TREES[0]
    built = build(tree, tmp_path, {"hello.c": HELLO, "Kbuild": "obj-m := hello.o\n"}, "modules")
    options = usual_options(built)
    first = compare(built, ["hello"], options)
    path = built.module("hello").path
    status = path.stat()
    with path.open("r+b") as file:
        file.write(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def again(signature: str) -> Outcome:
        return ours(built, ["hello"], options, None, known=KnownModules(tmp_path / "known.json", signature))

    assert again("here") == first
    for change in (
        lambda: again("elsewhere"),
        lambda: os.utime(path),
        lambda: (tmp_path / "known.json").write_text(""),
    ):
        with pytest.raises(KbuildError, match="not an ELF file"):
            change()
            again("here")


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    record = ObjectRecord("/drv/a.o", tmp_path / ".a.o.cmd")
    with pytest.raises(KbuildError, match=r"\.a\.o\.cmd: No such file"):
        record.read()
