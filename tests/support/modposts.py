# SPDX-License-Identifier: GPL-2.0-only
"""The tree's own modpost beside ours, over the same objects.

`build` lets Kbuild compile modules and stop before the final link; `assert_same_modpost` runs both modposts over some
of them and asserts that files, messages and verdict are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.known import KnownModules
from kbuildpy.modpost.layout_probe import parse, probe_source
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject, ObjectRecord
from kbuildpy.modpost.stage import modpost
from kbuildpy.run import run
from tests.support.packages import other_compiler

_TABLES = """\
#include <linux/module.h>
#include <linux/of.h>
#include <linux/pci.h>
#include <linux/usb.h>
// tables
int tables_exported(void);
int tables_exported(void) { return 0; }
EXPORT_SYMBOL_GPL(tables_exported);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("device tables");
"""
_DEVICES = """\
static const struct pci_device_id pci[] = { { PCI_DEVICE(0x8086, 0x1234) }, { PCI_DEVICE_CLASS(0x20000, ~0) }, { } };
MODULE_DEVICE_TABLE(pci, pci);
static const struct usb_device_id usb[] = { { USB_DEVICE_VER(0x1234, 0x5678, 0x100, 0x299) }, { } };
MODULE_DEVICE_TABLE(usb, usb);
static const struct of_device_id of[] = { { .compatible = "none,such" }, { .type = "a b" }, { } };
MODULE_DEVICE_TABLE(of, of);
"""
_WRONG = """\
#include <linux/module.h>
extern int nobody_has_this(void), tables_exported(void);
static noinline int __init wrong_init(void) { return nobody_has_this() + tables_exported(); }
int wrong_call(void);
int wrong_call(void) { return wrong_init(); }
module_init(wrong_init);
"""


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


def build_modules(tree: KernelTree, directory: Path, files: Mapping[str, str]) -> Built:
    """Write `files` and have Kbuild make the modules; its modpost may fail, the compiler must not."""
    built = build(tree, directory, files, "modules")
    log = (directory / "make.log").read_text()
    assert (directory / "modules.order").exists() and "Error 1" not in log.partition("MODPOST")[0], log
    return built


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
    real = program.resolve().with_name(f"modpost.real-{_class_of(built, names[0])}")
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


def _class_of(built: Built, name: str) -> str:
    """Order and width of an object, as Debian calls the variant of modpost that is for them."""
    ident = (built.directory / f"{name}.o").read_bytes()[:6]
    order, width = ("msb" if ident[5] == 2 else "lsb"), (32 if ident[4] == 1 else 64)
    return f"{order}-{width}"


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


def assert_same_modpost(
    built: Built, names: Sequence[str], options: Sequence[str], layouts: DeviceTableLayouts | None = None
) -> Outcome:
    """Assert that both modposts do the same, ours also where it reads nothing again; returns what they did."""
    expected = oracle(built, names, options)
    place = built.directory / "known.json"
    place.unlink(missing_ok=True)
    for _ in range(2):
        found = ours(built, names, options, layouts, known=KnownModules(place, "here"))
        assert found.messages == expected.messages, "other messages"
        assert found.failed == expected.failed, "another verdict"
        assert found.mod_c == expected.mod_c, "other contents of .mod.c files"
        assert found.symvers == expected.symvers, "other contents of Module.symvers"
        assert found.namespace_deps == expected.namespace_deps, "other dependencies on namespaces"
    return expected


def assert_same_modpost_on_tables_and_mistakes(tree: KernelTree, place: Path, words: Sequence[str]) -> None:
    """Assert the same of device tables, exports, an undefined symbol and a section mismatch; they are compiled below
    `place`, with `words` for make."""
    # (Debian's modpost for 32 bits has the sizes that device tables have with 64)
    devices = _DEVICES if tree.config.get("CONFIG_64BIT") == "y" else ""
    probe = {"probe.c": probe_source(tree), "Kbuild": "obj-m := probe.o\n"}
    answers = build(tree, place / "layouts", probe, "probe.s", *words).directory / "probe.s"
    files = {
        "tables.c": _TABLES.replace("// tables", devices),
        "wrong.c": _WRONG,
        "Kbuild": "obj-m := tables.o wrong.o\n",
    }
    built = build(tree, place / "modules", files, "modules", *words)
    layouts = parse(answers.read_bytes())
    outcome = assert_same_modpost(built, ["tables"], usual_options(built), layouts)
    assert ("MODULE_ALIAS" in next(iter(outcome.mod_c.values()))) is bool(devices), "no table was read"
    outcome = assert_same_modpost(built, ["tables", "wrong"], usual_options(built), layouts)
    said = outcome.messages
    assert outcome.failed and "nobody_has_this" in said and "section mismatch" in said, f"mistakes are missing: {said}"


def usual_options(built: Built) -> list[str]:
    """What the tree's Makefile.modpost passes for an external module."""
    tree = built.tree
    flags = ["-e", "-i", str(tree.symvers)]
    flags += ["-M"] if tree.version >= (6, 6) else []
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
