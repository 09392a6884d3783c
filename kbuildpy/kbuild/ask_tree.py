# SPDX-License-Identifier: GPL-2.0-only
"""Asks a kernel tree what it decides for every external module (`mk/tree.mk`), and remembers the answer.

The counterpart is the top Makefile up to the point where it calls scripts/Makefile.build, Makefile.modpost
and Makefile.modfinal. The surprise: make is asked about a placeholder directory, whose name is replaced in the answer
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
from kbuildpy.kernel.rust import METADATA
from kbuildpy.kernel.tree import KernelTree

# The files of a tree that an answer depends on, besides its makefiles. asm-offsets.h is one of them because the
# makefiles of some architectures take a compiler option from it.
_WATCHED = (FIXDEP, "include/generated/autoconf.h", "include/generated/asm-offsets.h", "Module.symvers", "vmlinux")


def ask_tree(
    tree: KernelTree, *, variables: Mapping[str, str], environ: Mapping[str, str], btf_threads: bool = False
) -> TreeAnswer:
    """What `tree` decides under the make variables `variables` (as on make's command line) and `environ`.

    pahole runs in one thread, so that BTF is reproducible, as in Kbuild with KBUILD_BUILD_TIMESTAMP. With
    `btf_threads` it runs in several, as in Kbuild without that variable: type numbers then depend on which thread
    finishes first.
    The answer comes from the user's cache until the tree's makefiles, its configuration or the programs that it names
    change. It is not cached if a variable's value asks the shell or the file system. Raises `KbuildError` with make's
    own message when the tree's makefiles fail, or when a compiler that the tree wants is not installed; `UsageError`
    for an `ARCH` that the tree was not configured for.
    """
    given = tuple(sorted({**cross_variables(tree, variables, environ), **variables}.items()))
    key = digest(str(tree.objects), str(tree.source), given, environment_key(environ), own_version(), btf_threads)

    def ask() -> tuple[dict[str, Any], dict[str, Stamp]]:
        from kbuildpy.kbuild.make_tree_answer import make_tree_answer  # gate: slow to import, not for a cached answer

        answer = make_tree_answer(tree, given, environ, btf_threads=btf_threads)
        seen = watched(answer, environ)
        state = digest(sorted((name, *found) for name, found in seen.items()))
        return answer_to_json(replace(answer, state=state)), seen

    if asks_anew(dict(given), environ):
        return answer_from_json(ask()[0], tree)
    path, all_variables = cache_directory() / "trees" / f"{key}.json", {**environ, **dict(given)}
    return cached(path, ask, read=lambda value: answer_from_json(value, tree), variables=all_variables)


def watched(answer: TreeAnswer, environ: Mapping[str, str]) -> dict[str, Stamp]:
    """The present stamps of the files that `answer` depends on; `environ` is the environment it was asked in."""
    tree = answer.tree
    files = [
        *answer.makefiles,
        *(str(tree.objects / name) for name in _WATCHED),
        *answer.link_needs,
        *program_files(answer.programs, environ),
        *(str(tree.objects / name) for name in METADATA if answer.programs.get("RUSTC")),
    ]
    return stamps(name for name in files if not name.startswith(str(MAKEFILES)))


def own_version() -> list[tuple[str, Stamp]]:
    """The stamps of the makefiles in `mk/`: answers that another version of kbuildpy cached are not used."""
    return [(name.name, stamp(name)) for name in sorted(MAKEFILES.glob("*.mk"))]
