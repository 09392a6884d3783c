# SPDX-License-Identifier: GPL-2.0-only
"""Asks a kernel tree what it decides for every external module (`mk/tree.mk`), and remembers the answer.

The counterpart is the top Makefile up to the point where it calls scripts/Makefile.build, Makefile.modpost
and Makefile.modfinal. The surprise: it is asked for a placeholder directory, whose name is replaced in the answer
afterwards, so that one answer serves every module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kbuildpy.kbuild.cached import cached
from kbuildpy.kbuild.make_environment import asks_anew, environment_key
from kbuildpy.kbuild.make_output import MAKEFILES
from kbuildpy.kbuild.stamps import Stamp, digest, stamp, stamps
from kbuildpy.kbuild.tree_answer import FIXDEP, TreeAnswer, answer_from_json, answer_to_json
from kbuildpy.kbuild.tree_programs import program_files
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.compiler import cross_variables
from kbuildpy.kernel.tree import KernelTree

# What of a tree an answer depends on, besides its makefiles. (Some architectures' makefiles take a compiler option
# from the offsets.)
_WATCHED = (FIXDEP, "include/generated/autoconf.h", "include/generated/asm-offsets.h", "Module.symvers", "vmlinux")


def ask_tree(
    tree: KernelTree, *, variables: Mapping[str, str], environ: Mapping[str, str], btf_threads: bool = False
) -> TreeAnswer:
    """What `tree` decides under the make variables `variables` (as on make's command line) and `environ`.

    Modules get the BTF that Kbuild makes where KBUILD_BUILD_TIMESTAMP is set, the same every time; with `btf_threads`
    as it makes it otherwise: threads number the types, in the order in which they finish.
    The answer comes from the user's cache while the tree's makefiles, its configuration and the programs that it names
    are what they were, unless a variable's value asks the shell. Raises `KbuildError` with make's own message when the
    tree's makefiles fail, or when a compiler that the tree wants is not installed; `UsageError` for an `ARCH` that it
    is not for.
    """
    given = tuple(sorted({**cross_variables(tree, variables, environ), **variables}.items()))
    key = digest(str(tree.objects), str(tree.source), given, environment_key(environ), own_version(), btf_threads)

    def ask() -> tuple[dict[str, Any], dict[str, Stamp]]:
        from kbuildpy.kbuild.make_tree_answer import make_tree_answer  # (slow, and not for what is remembered)

        answer = make_tree_answer(tree, given, environ, btf_threads=btf_threads)
        seen = watched(answer, environ)
        state = digest(sorted((name, *found) for name, found in seen.items()))
        return answer_to_json(replace(answer, state=state)), seen

    if asks_anew(dict(given), environ):
        return answer_from_json(ask()[0], tree)
    return cached(cache_directory() / "trees" / f"{key}.json", ask, read=lambda value: answer_from_json(value, tree))


def watched(answer: TreeAnswer, environ: Mapping[str, str]) -> dict[str, Stamp]:
    """The files that `answer`, which was asked for in `environ`, depends on, in their present state."""
    tree = answer.tree
    files = [
        *answer.makefiles,
        *(str(tree.objects / name) for name in _WATCHED),
        *answer.link_needs,
        *program_files(answer.programs, environ),
    ]
    return stamps(name for name in files if not name.startswith(str(MAKEFILES)))


def own_version() -> list[tuple[str, Stamp]]:
    """The state of the makefiles that ask: another version's answers are not ours."""
    return [(name.name, stamp(name)) for name in sorted(MAKEFILES.glob("*.mk"))]
