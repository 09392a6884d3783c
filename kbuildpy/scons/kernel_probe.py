# SPDX-License-Identifier: GPL-2.0-only
"""`env.KernelProbe()`: a question about the kernel tree, whose answer is a macro in a header and a variable for Kbuild.

Probes are collected, and answered together when the first module is declared, or when their header is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kbuildpy.errors import UsageError
from kbuildpy.probes.probes_file import checked_probe, read_probes
from kbuildpy.scons.builder_call import stop_on_error
from kbuildpy.scons.declaration_place import declaration_place
from kbuildpy.scons.find_project import find_plain_project, output_root
from kbuildpy.scons.keywords import check_names, text
from kbuildpy.scons.probed import add_probes

_CALL = "KernelProbe"


def kernel_probe(
    env: Any,
    name: Any = None,
    *,
    header: Any = None,
    symbol: Any = None,
    type: Any = None,
    member: Any = None,
    declared: Any = None,
    call: Any = None,
    source: Any = None,
    includes: Any = None,
    outside: Any = None,
    strict: Any = None,
    alone: Any = None,
    gpl_only: Any = None,
    **variables: Any,
) -> list[Any]:
    """Declare the probe that defines the macro `name`, before the modules that use it; the node of the header.

    Exactly one keyword asks: is there this `header`, exported `symbol`, `type`, `member` of a type, or `declared`
    function, variable or macro; does this `call` compile, or `source` (statements of a function, with text at file
    scope in `outside`)? `includes` are the headers for it. `strict`: a warning means no. `alone`: the headers of other
    probes are not included. `gpl_only`: the symbol is exported to GPL-compatible modules alone. A `name` that ends in
    `.toml` is a file of probes.
    """
    given = {
        "header": header,
        "symbol": symbol,
        "type": type,
        "member": member,
        "declared": declared,
        "call": call,
        "source": source,
        "includes": includes,
        "outside": outside,
        "strict": strict,
        "alone": alone,
        "gpl_only": gpl_only,
    }
    asked = {key: value for key, value in given.items() if value is not None}

    def declare() -> list[Any]:
        check_names(_CALL, kernel_probe, variables)
        if name is None:
            raise UsageError(f"{_CALL}: no macro", hint=f"name it: {_CALL}('HAVE_X', symbol='x')")
        word = text(_CALL, "name", name)
        if word.endswith(".toml"):
            if asked:
                raise UsageError(f"{_CALL}: {word}: the file has the probes", hint=f"leave out {', '.join(asked)}")
            probes = read_probes(Path(env.File(word).srcnode().get_abspath()))
        else:
            probes = [checked_probe(word, asked, place=declaration_place().rstrip(": "))]
        project = find_plain_project(env, variables)
        return add_probes(env, project, probes, output_root(env, project, variables))

    return stop_on_error(declare)
