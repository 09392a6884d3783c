# SPDX-License-Identifier: GPL-2.0-only
"""Asks a kernel tree's compiler for vermagic and the layout of `struct module`.

The counterparts are VERMAGIC_STRING (include/linux/vermagic.h) and include/linux/module.h. Both depend on the
configuration, the architecture's headers and the compiler's plugins (randomised structures), so one probe asks for
both. The user's cache keeps the answer with the stamps of the files that it depends on. Reading the cache imports few
modules, because checking a single module needs only that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.cached import cached
from kbuildpy.kbuild.make_environment import environment_key
from kbuildpy.kbuild.stamps import Stamp, digest
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.module_facts import ModuleFacts, ModuleStruct
from kbuildpy.kernel.tree import KernelTree

_PROBE = """\
#define INCLUDE_VERMAGIC
#include <linux/module.h>
#include <linux/vermagic.h>

#define ANSWER(name, value) asm volatile("\\n.ascii \\"->" #name " %0 \\"" : : "i" (value))

static void __attribute__((used)) module_facts(void)
{
	ANSWER(SIZE, sizeof(struct module));
	ANSWER(NAME, __builtin_offsetof(struct module, name));
	ANSWER(NAME_SIZE, sizeof(((struct module *)0)->name));
	ANSWER(INIT, __builtin_offsetof(struct module, init));
#ifdef CONFIG_MODULE_UNLOAD
	ANSWER(EXIT, __builtin_offsetof(struct module, exit));
#endif
	asm volatile("\\n.ascii \\"->VERMAGIC [" VERMAGIC_STRING "]\\"");
}
"""
_NUMBER = re.compile(r"->(SIZE|NAME|NAME_SIZE|INIT|EXIT) [$#]?(\d+)")
_VERMAGIC = re.compile(r"->VERMAGIC \[([^\]\n]*)\]")


def ask_module_facts(
    tree: KernelTree, *, variables: Mapping[str, str] | None = None, environ: Mapping[str, str]
) -> ModuleFacts:
    """The vermagic and the layout of `struct module` (offsets and sizes in bytes) that modules of `tree` have under the
    make variables `variables` and `environ`.

    Raises `KbuildError` when the tree's makefiles fail, its compiler is not installed, or the probe does not compile.
    """
    given = sorted((variables or {}).items())
    key = digest("module facts", _PROBE, str(tree.objects), str(tree.source), given, environment_key(environ))

    def ask() -> tuple[ModuleFacts, dict[str, Stamp]]:
        from kbuildpy.kbuild.probe_tree import probe_tree  # gate: slow to import, not needed for a cached answer

        assembly, seen = probe_tree(tree, _PROBE, variables=variables or {}, environ=environ)
        return _parse(assembly, tree), seen

    path, all_variables = cache_directory() / "layouts" / f"{key}.json", {**environ, **dict(given)}
    return cached(path, ask, read=_from_json, variables=all_variables)


def _parse(assembly: str, tree: KernelTree) -> ModuleFacts:
    numbers = {name: int(number) for name, number in _NUMBER.findall(assembly)}
    vermagic = _VERMAGIC.search(assembly)
    if vermagic is None or not {"SIZE", "NAME", "NAME_SIZE", "INIT"} <= numbers.keys():
        raise KbuildError(f"{tree.objects}: the compiler's output has no vermagic and no layout of struct module")
    layout = ModuleStruct(
        numbers["SIZE"], (numbers["NAME"], numbers["NAME_SIZE"]), numbers["INIT"], numbers.get("EXIT")
    )
    return ModuleFacts(vermagic[1], layout)


def _from_json(value: Any) -> ModuleFacts:
    vermagic, (size, (name, length), init, exit) = value
    if not isinstance(vermagic, str):
        raise TypeError
    return ModuleFacts(vermagic, ModuleStruct(int(size), (int(name), int(length)), int(init), exit))
