# SPDX-License-Identifier: GPL-2.0-only
"""Who provides what a module needs, and what may not be, without any kernel: scripts/mod/modpost.c (check_exports,
sym_add_exported)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.symvers import parse_symvers
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.diagnostics import Fatal, Log
from kbuildpy.modpost.exports import ExportedSymbol, KnownExports, Owner
from kbuildpy.modpost.named_exports import NamedExports
from kbuildpy.modpost.object_facts import ObjectFacts, Unresolved
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.resolve import ResolvedModule, Resolver
from kbuildpy.modpost.versions import Dialect, dialect_of

MODERN = "6.12.0"
NONE = Path("/nonexistent")


@cache
def dialect(release: str) -> Dialect:
    return dialect_of(KernelTree(NONE, NONE, release))


def symvers(*lines: str) -> Any:
    """A symvers file: lines `symbol owner [license [namespace]]`."""
    rows = []
    for number, line in enumerate(lines):
        symbol, owner, *rest = line.split()
        license, namespace = (*rest, *("EXPORT_SYMBOL", "")[len(rest) :])
        rows.append(f"0x{number + 1:08x}\t{symbol}\t{owner}\t{license}\t{namespace}\n")
    return parse_symvers("".join(rows).encode(), Path("Module.symvers"))


def facts(name: str = "drv/m", *needs: str, weak: Sequence[str] = (), **other: Any) -> ObjectFacts:
    return ObjectFacts(
        **{
            "owner": Owner(name),
            "exports": (),
            "unresolved": tuple(Unresolved(need, weak=need in weak) for need in needs),
            "imported_namespaces": (),
            "gpl_compatible": True,
            "has_init": True,
            "has_cleanup": True,
            "aliases": (),
            "srcversion": "",
            **other,
        }
    )


@dataclass
class Run:
    """A resolver, and what it says."""

    resolver: Resolver
    log: Log

    def resolve(self, module: ObjectFacts) -> ResolvedModule:
        return self.resolver.resolve(module)

    @property
    def said(self) -> list[str]:
        return [item.text.removesuffix("\n") for item in self.log.diagnostics]


def run(*files: Any, options: str = "", early: bool = False, **changes: Any) -> Run:
    """A resolver that knows these symvers files; `early` is 5.10's, `changes` are of the dialect."""
    chosen = replace(dialect("5.10.0" if early else MODERN), **{"newest_first": early, **changes})
    log = Log(chosen.module_prefix, chosen.fatal_word)
    exports = (
        NamedExports(log, external=True, retired=True)
        if early
        else KnownExports(log, external=True, owner_by_file=chosen.symvers_owner_by_file)
    )
    for number, file in enumerate(files):
        exports.load(file, f"file{number}")
    return Run(Resolver(exports, ModpostOptions.parse(options.split()), chosen, log, name_limit=56), log)


def test_a_need_is_met_by_who_exports_it() -> None:
    found = run(symvers("a vmlinux", "b lib/other"))
    imports = found.resolve(facts("m", "b", "a")).imports
    assert [(item.name, item.owner.name, item.crc) for item in imports] == [("b", "lib/other", 2), ("a", "vmlinux", 1)]
    assert imports[0].owner.basename == "other" and imports[0].owner.filename == "lib/other.ko"
    assert imports[1].owner.filename == "vmlinux" and imports[1].owner.is_vmlinux
    assert not imports[0].owner.is_vmlinux
    assert found.said == []
    assert all(found.resolver.exports.find(name).used for name in "ab")  # type: ignore[union-attr]


def test_a_dot_before_a_name_does_not_count() -> None:
    assert [item.crc for item in run(symvers("a vmlinux")).resolve(facts("m", ".a")).imports] == [1]


def test_what_nobody_exports_is_an_error_and_what_is_weak_is_not() -> None:
    found = run(symvers("a vmlinux"))
    module = facts("drv/m", "w", "x", "a", weak="w")
    assert [item.name for item in found.resolve(module).imports] == ["a"]
    assert found.said == ['ERROR: modpost: "x" [drv/m.ko] undefined!']
    assert found.log.failed
    assert found.resolver.unresolved == 1


def test_with_w_it_is_a_warning() -> None:
    found = run(options="-w")
    found.resolve(facts("m", "x"))
    assert found.said == ['WARNING: modpost: "x" [m.ko] undefined!']
    assert not found.log.failed


@pytest.mark.parametrize(("count", "told", "more"), [(10, 10, None), (11, 10, 1), (30, 10, 20)])
def test_ten_undefined_symbols_are_enough(count: int, told: int, more: int | None) -> None:
    found = run()
    found.resolver.start()
    found.resolve(facts("m", *(f"x{number}" for number in range(count))))
    found.resolver.finish()
    assert sum("undefined!" in line for line in found.said) == told
    last = f"WARNING: modpost: suppressed {more} unresolved symbol warnings because there were too many)"
    assert (last in found.said) == (more is not None)
    assert len(found.said) == told + (more is not None)


def test_early_kernels_tell_all_of_them_where_they_know_vmlinux() -> None:
    found = run(symvers("a vmlinux"), early=True)
    found.resolver.start()
    found.resolve(facts("m", *(f"x{number}" for number in range(30))))
    found.resolver.finish()
    assert len(found.said) == 30


def test_early_kernels_tell_none_of_them_where_they_do_not() -> None:
    found = run(symvers("a other"), early=True)
    found.resolver.start()
    found.resolve(facts("m", "x"))
    assert found.said == [
        "WARNING: modpost: Symbol info of vmlinux is missing. Unresolved symbol check will be entirely skipped."
    ]
    assert found.resolver.unresolved == 0


def test_a_module_does_not_provide_for_itself() -> None:
    found, early = run(), run(symvers("a vmlinux"), early=True)
    for each, said in ((found, '"x" [m.ko] was exported without definition'), (early, '"x" [m.ko] undefined!')):
        module = facts("m", "x", "y", weak="y")
        each.resolver.exports.add(ExportedSymbol("x", module.owner, False, ""))
        assert each.resolve(module).imports == ()
        assert each.said == [f"ERROR: modpost: {said}"]


def test_of_several_needs_one_that_is_its_own_hides_none() -> None:
    found = run(symvers("a vmlinux"))
    module = facts("m", "x", "a")
    found.resolver.exports.add(ExportedSymbol("x", module.owner, False, ""))
    assert [item.name for item in found.resolve(module).imports] == ["a"]


@pytest.mark.parametrize(("length", "refused"), [(55, False), (56, True)])
def test_a_name_must_fit_with_its_end(length: int, refused: bool) -> None:
    found = run()
    found.resolve(facts(f"drv/{'m' * length}"))
    assert bool(found.said) == refused


# --- Namespaces


def test_a_namespace_must_be_imported() -> None:
    found = run(symvers("a vmlinux EXPORT_SYMBOL NS", "b vmlinux EXPORT_SYMBOL OTHER", "c vmlinux EXPORT_SYMBOL NS"))
    resolved = found.resolve(facts("drv/m", "a", "b", "c", imported_namespaces=("OTHER",)))
    assert resolved.missing_namespaces == ("NS",)
    assert found.said == [
        f"ERROR: modpost: module m uses symbol {name} from namespace NS, but does not import it." for name in "ac"
    ]


def test_with_n_a_missing_import_is_a_warning() -> None:
    found = run(symvers("a vmlinux EXPORT_SYMBOL NS"), options="-N")
    assert found.resolve(facts("m", "a")).missing_namespaces == ("NS",)
    assert found.said[0].startswith("WARNING") and not found.log.failed


def test_early_kernels_name_missing_namespaces_newest_first() -> None:
    file = symvers("a vmlinux EXPORT_SYMBOL A", "b vmlinux EXPORT_SYMBOL B")
    assert run(file).resolve(facts("m", "a", "b")).missing_namespaces == ("A", "B")
    assert run(file, early=True).resolve(facts("m", "a", "b")).missing_namespaces == ("B", "A")


@pytest.mark.parametrize(
    ("namespace", "module", "meant"),
    [
        ("module:m", "drv/m", True),
        ("module:x,m", "m", True),
        ("module:m", "mm", False),
        ("module:m*", "drv/mm", True),
        ("module:m*", "xm", False),
        ("module:x", "m", False),
        ("m", "m", False),
    ],
)
def test_a_namespace_may_name_the_modules_that_need_not_import_it(namespace: str, module: str, meant: bool) -> None:
    file = symvers(f"a vmlinux EXPORT_SYMBOL {namespace}")
    assert (run(file, module_namespaces=True).resolve(facts(module, "a")).missing_namespaces == ()) == meant
    assert run(file, module_namespaces=False).resolve(facts(module, "a")).missing_namespaces == (namespace,)


# --- Licenses


GPL = "modpost: GPL-incompatible module m.ko uses GPL-only symbol"


def test_a_gpl_only_symbol_is_for_compatible_modules() -> None:
    found = run(symvers("a vmlinux EXPORT_SYMBOL_GPL", "b vmlinux"))
    found.resolve(facts("drv/m", "a", "b"))
    assert found.said == []
    found.resolve(facts("drv/m", "a", "b", gpl_compatible=False))
    assert found.said == [f"ERROR: {GPL} 'a'"]


def test_early_kernels_give_up_at_once() -> None:
    found = run(symvers("a vmlinux EXPORT_SYMBOL_GPL"), early=True)
    with pytest.raises(Fatal):
        found.resolve(facts("m", "a", gpl_compatible=False))
    assert found.said == [f"FATAL: {GPL} 'a'"]


@pytest.mark.parametrize(
    ("macro", "said"),
    [
        ("EXPORT_SYMBOL_GPL_FUTURE", "WARNING: modpost: GPL-incompatible module m.ko uses future GPL-only symbol 'a'"),
        ("EXPORT_UNUSED_SYMBOL", "WARNING: modpost: module m.ko uses symbol 'a' marked UNUSED"),
    ],
)
def test_early_kernels_warn_of_retired_macros(macro: str, said: str) -> None:
    found = run(symvers("z vmlinux"), early=True)
    found.resolver.exports.add(ExportedSymbol("a", Owner("vmlinux"), False, "", kind=macro))
    found.resolve(facts("m", "a", gpl_compatible=False))
    assert found.said == [said]
    assert not found.log.failed


def test_early_kernels_refuse_an_unused_gpl_only_symbol() -> None:
    found = run(symvers("z vmlinux"), early=True)
    found.resolver.exports.add(ExportedSymbol("a", Owner("vmlinux"), False, "", kind="EXPORT_UNUSED_SYMBOL_GPL"))
    with pytest.raises(Fatal):
        found.resolve(facts("m", "a", gpl_compatible=False))
    assert found.said == ["FATAL: modpost: GPL-incompatible module m.ko uses GPL-only symbol marked UNUSED 'a'"]


# --- Exports


def table(*, external: bool = True, by_file: bool = False) -> tuple[KnownExports, Log]:
    log = Log(False, "FATAL")
    return KnownExports(log, external=external, owner_by_file=by_file), log


def twice(log: Log) -> list[str]:
    return [item.text.removesuffix("\n") for item in log.diagnostics]


def test_the_newest_file_counts() -> None:
    exports, log = table()
    exports.load(symvers("a one", "b one"), "1")
    exports.load(symvers("x two", "a two"), "2")
    assert [exports.find(name).owner.name for name in "abx"] == ["two", "one", "two"]  # type: ignore[union-attr]
    assert exports.find("nothing") is None
    assert twice(log) == []


def test_a_file_that_comes_later_counts_also_for_what_was_looked_up() -> None:
    exports, _ = table()
    exports.load(symvers("a one"), "1")
    exports.find("a")
    exports.load(symvers("a two"), "2")
    assert exports.find("a").owner.name == "two"  # type: ignore[union-attr]


def test_a_line_becomes_one_export() -> None:
    exports, _ = table()
    exports.load(symvers("a vmlinux EXPORT_SYMBOL_GPL NS", "b vmlinux"), "1")
    first, second = exports.find("a"), exports.find("b")
    assert first is not None and second is not None
    assert (first.gpl_only, first.namespace, first.macro) == (True, "NS", "EXPORT_SYMBOL_GPL")
    assert (second.gpl_only, second.namespace, second.macro) == (False, "", "EXPORT_SYMBOL")
    assert not first.used and not first.static and not first.is_func
    assert exports.find("a") is first
    assert first.owner is second.owner


@pytest.mark.parametrize(
    ("lines", "external", "conflict"),
    [
        (("a one", "a two"), True, False),
        (("a one", "a two"), False, True),
        (("a vmlinux", "a two"), True, True),
        (("a one", "a one"), True, True),
        (("a one", "b one"), False, False),
    ],
)
@pytest.mark.parametrize("files", [1, 2])
def test_modules_may_replace_each_other_but_not_the_kernel(
    lines: tuple[str, str], external: bool, conflict: bool, files: int
) -> None:
    exports, log = table(external=external)
    if files == 1:
        exports.load(symvers(*lines), "1")
    else:
        exports.load(symvers(lines[0]), "1")
        exports.load(symvers(lines[1]), "2")
    (_, first), (_, second) = (line.split() for line in lines)
    shown = first if first == "vmlinux" else f"{first}.ko"
    expected = f"ERROR: modpost: {second}: 'a' exported twice. Previous export was in {shown}"
    assert twice(log) == ([expected] if conflict else [])


@pytest.mark.parametrize("by_file", [False, True])
def test_one_owner_in_two_files_may_be_two_modules(by_file: bool) -> None:
    exports, log = table(by_file=by_file)
    exports.load(symvers("a one"), "1")
    exports.load(symvers("a one"), "2")
    assert bool(twice(log)) == (not by_file)


def test_a_module_at_hand_counts_more_than_files_and_may_not_replace_the_kernel() -> None:
    exports, log = table()
    exports.load(symvers("a one", "b vmlinux"), "1")
    owner = Owner("m")
    for name in "ab":
        export = ExportedSymbol(name, owner, False, "")
        assert exports.add(export) is export
        assert exports.find(name) is export
    assert twice(log) == ["ERROR: modpost: m: 'b' exported twice. Previous export was in vmlinux"]


def test_a_license_that_nobody_knows_is_skipped_with_an_error() -> None:
    exports, log = table()
    exports.load(symvers("a one EXPORT_SYMBOL_ODD", "b one"), "1")
    assert exports.find("a") is None
    assert log.failed and "a: unknown license EXPORT_SYMBOL_ODD. skip" in twice(log)[0]
