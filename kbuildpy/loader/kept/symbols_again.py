# SPDX-License-Identifier: GPL-2.0-only
"""The stage that resolves symbols, from kept facts: it needs no more of the module than names and CRCs.

A kernel that accepts the file, but has other CRCs, or not all of the symbols, refuses the module here; for that its
file need not be read.
"""

from __future__ import annotations

from typing import Any

from kbuildpy.elf.constants import SHN_UNDEF
from kbuildpy.loader.kept.forms import Places, unchecked_from_json, unchecked_to_json
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_info import Journal, LoadInfo, MemoryLayout, Taints, UndefinedSymbol
from kbuildpy.loader.load_module import SYMBOLS, begin, run
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.module_file import Index
from kbuildpy.loader.stages.modinfo import modinfo_values
from kbuildpy.loader.stages.symbols import resolve_again, stated_depends, undefined_symbols
from kbuildpy.loader.stages.versions import module_versions
from kbuildpy.loader.verdict import Refusal, Undefined

State = dict[str, Any]
"""What the stage depends on, as JSON."""

MOST_SYMBOLS = 10_000
"""Undefined symbols of a module whose verdicts are kept. (amdgpu has 1,300.)"""


def state_of(info: LoadInfo) -> State | None:
    """Return the state of `info` before the stage; None for a module whose symbols or `.modinfo` are in error, or that
    has very many symbols, as no sound module has."""
    if sum(row[3] == SHN_UNDEF for row in info.symbols) > MOST_SYMBOLS:
        return None
    try:
        undefined = undefined_symbols(info)
        imports = list(modinfo_values(info, "import_ns"))
        depends = stated_depends(info)
        versions = module_versions(info)
    except Undefined:
        return None
    if undefined is None:
        return None
    return {
        "name": info.name,
        "mod_name": info.mod_name,
        "taints": [sorted(info.taints.module), sorted(info.taints.kernel)],
        "lines": [*info.journal.lines],
        "taint_lines": sorted(info.journal.taint_lines),
        "unchecked": unchecked_to_json(info.journal.unchecked),
        "once": sorted(info.journal.once),
        "has_versions": [bool(info.index.vers), bool(info.index.vers_ext_crc)],
        "undefined": undefined,
        "crcs": [versions.get(symbol.name) for symbol in undefined],
        "imports": imports,
        "depends": depends,
    }


def run_again(
    state: State, places: Places, kernel: LoaderKernel, modules: Modules, args: str, *, packed: bytes
) -> tuple[LoadInfo, Refusal | Undefined | None]:
    """Resolve the symbols of the module in `state`; return its state after the stage, and what ended it. `packed` is
    that of `begin`."""
    info = begin(b"", kernel, modules, args, packed=packed)
    info.name, info.mod_name = state["name"], state["mod_name"]
    module, of_kernel = state["taints"]
    info.taints = Taints(set(module), set(of_kernel))
    unchecked = unchecked_from_json(state["unchecked"])
    info.journal = Journal([*state["lines"]], set(state["taint_lines"]), dict.fromkeys(unchecked), set(state["once"]))
    info.layout = MemoryLayout(places.sizes, places.sections)
    plain, extended = state["has_versions"]
    info.index = Index(vers=int(plain), vers_ext_crc=int(extended))
    info.undefined = [UndefinedSymbol(*symbol) for symbol in state["undefined"]]
    crcs = zip(info.undefined, state["crcs"], strict=True)
    info.versions = {symbol.name: crc for symbol, crc in crcs if crc is not None}
    info.namespaces = set(), iter(state["imports"])
    info.depends = state["depends"]
    name, _ = SYMBOLS
    return info, run(info, [(name, resolve_again)])
