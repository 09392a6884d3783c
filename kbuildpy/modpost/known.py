# SPDX-License-Identifier: GPL-2.0-only
"""Keeps the facts of module objects from one run to the next.

An unchanged object has the same facts, and after an edit of one source, reading 167 objects takes longer than all other
work of modpost. The facts of a module with a diagnostic are not kept, because the diagnostic must be printed again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kbuildpy.kernel.cache import read_json, write_json
from kbuildpy.modpost.exports import ExportedSymbol, KnownExports, Owner
from kbuildpy.modpost.object_facts import ObjectFacts, Unresolved
from kbuildpy.modpost.records import ModuleObject


class KnownModules:
    """The facts of modules by their nominal names, kept in the file `path`.

    The facts of a module are valid while `signature` (the kernel tree, the options, kbuildpy's version) is the same,
    and the module's object and the `.cmd` files of its objects are the same files. A `.cmd` file has a digest of the
    sources, so it also changes when the srcversion does.
    """

    def __init__(self, path: Path, signature: str) -> None:
        self._path = path
        self._signature = signature
        value = read_json(path)
        fits = isinstance(value, dict) and value.get("signature") == signature
        self._known: dict[str, list[Any]] = value["modules"] if fits else {}
        self._used: dict[str, list[Any]] = {}

    def find(self, module: ModuleObject, exports: KnownExports) -> ObjectFacts | None:
        """The facts of `module`, or None if the module must be read. Adds its exports to the table `exports`."""
        entry = self._known.get(module.name)
        if entry is None or entry[0] != _state(module):
            return None
        self._used[module.name] = entry
        facts = _facts(module.name, entry[1])
        for export in facts.exports:
            exports.add(export)
        return facts

    def keep(self, module: ModuleObject, facts: ObjectFacts) -> None:
        """Keep the facts of `module`."""
        self._used[module.name] = [_state(module), _plain(facts)]

    def save(self) -> None:
        """Write the facts of this run's modules, if they differ from the file."""
        if self._used != self._known:
            write_json(self._path, {"signature": self._signature, "modules": self._used})
            self._known = dict(self._used)


def _state(module: ModuleObject) -> list[int]:
    state = []
    for path in (module.path, *(item.record for item in module.objects)):
        try:
            status = os.stat(path)  # noqa: PTH116 - as quick as can be
        except OSError:
            return [0]
        state += [status.st_mtime_ns, status.st_size, status.st_ino]
    return state


def _plain(facts: ObjectFacts) -> list[Any]:
    exports = [[item.name, item.gpl_only, item.namespace, item.crc, item.is_func] for item in facts.exports]
    return [
        exports,
        [item.name for item in facts.unresolved],
        [number for number, item in enumerate(facts.unresolved) if item.weak],
        facts.imported_namespaces,
        [facts.gpl_compatible, facts.has_init, facts.has_cleanup],
        facts.aliases,
        facts.srcversion,
        facts.no_trim,
    ]


def _facts(name: str, plain: list[Any]) -> ObjectFacts:
    exports, unresolved, weak, namespaces, (gpl_compatible, has_init, has_cleanup), aliases, srcversion, no_trim = plain
    owner = Owner(name)
    return ObjectFacts(
        owner=owner,
        exports=tuple(
            ExportedSymbol(symbol, owner, gpl_only, namespace, crc, is_func)
            for symbol, gpl_only, namespace, crc, is_func in exports
        ),
        unresolved=tuple(Unresolved(symbol, number in weak) for number, symbol in enumerate(unresolved)),
        imported_namespaces=tuple(namespaces),
        gpl_compatible=gpl_compatible,
        has_init=has_init,
        has_cleanup=has_cleanup,
        aliases=tuple(aliases),
        srcversion=srcversion,
        no_trim=tuple(no_trim),
    )
