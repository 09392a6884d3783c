"""Asks a kernel tree what it decides for every external module (`mk/tree.mk`), and remembers the answer.

The counterpart is the top Makefile up to the point where it calls scripts/Makefile.build, Makefile.modpost
and Makefile.modfinal. The surprise: it is asked for a placeholder directory, whose name is replaced in the answer
afterwards, so that one answer serves every module.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbuildpy.errors import CommandError
from kbuildpy.kbuild.btf_threads import without_btf_threads
from kbuildpy.kbuild.cached import cached
from kbuildpy.kbuild.make_environment import base_environment, environment_key
from kbuildpy.kbuild.make_output import MAKEFILES, make_failed, read_records
from kbuildpy.kbuild.parse_tree_answer import TreeOutput, parse_tree_answer
from kbuildpy.kbuild.placeholder import builds_in_directory, make_placeholder
from kbuildpy.kbuild.stamps import Stamp, digest, stamp, stamps
from kbuildpy.kbuild.tree_answer import TreeAnswer, answer_from_json, answer_to_json
from kbuildpy.kbuild.tree_programs import program_files, refuse_missing_compiler
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.compiler import cross_variables
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

_FIXDEP = "scripts/basic/fixdep"
# What of a tree an answer depends on, besides its makefiles. (Some architectures' makefiles take a compiler option
# from the offsets.)
_WATCHED = (_FIXDEP, "include/generated/autoconf.h", "include/generated/asm-offsets.h", "Module.symvers", "vmlinux")


def ask_tree(
    tree: KernelTree, *, variables: Mapping[str, str], environ: Mapping[str, str], btf_threads: bool = False
) -> TreeAnswer:
    """What `tree` decides under the make variables `variables` (as on make's command line) and `environ`.

    Modules get the BTF that Kbuild makes where KBUILD_BUILD_TIMESTAMP is set, the same every time; with `btf_threads`
    as it makes it otherwise: threads number the types, in the order in which they finish.
    The answer comes from the user's cache while the tree's makefiles, its configuration and the programs
    that it names are what they were. Raises `KbuildError` with make's own message when the tree's makefiles
    fail, or when a compiler that the tree wants is not installed; `UsageError` for an `ARCH` that it is not for.
    """
    given = tuple(sorted({**cross_variables(tree, variables, environ), **variables}.items()))
    key = digest(str(tree.objects), str(tree.source), given, environment_key(environ), own_version(), btf_threads)

    def ask() -> tuple[dict[str, Any], dict[str, Stamp]]:
        output = _run_make(tree, given, environ, btf_threads=btf_threads)
        answer = parse_tree_answer(tree, output, variables=given, repeats_headers=_repeats_headers(tree))
        answer = answer if btf_threads else without_btf_threads(answer)
        seen = watched(answer)
        state = digest(sorted((name, *found) for name, found in seen.items()))
        return answer_to_json(replace(answer, state=state)), seen

    return cached(cache_directory() / "trees" / f"{key}.json", ask, read=lambda value: answer_from_json(value, tree))


def watched(answer: TreeAnswer) -> dict[str, Stamp]:
    """The files that `answer` depends on, in their present state."""
    tree = answer.tree
    files = [
        *answer.makefiles,
        *(str(tree.objects / name) for name in _WATCHED),
        *answer.link_needs,
        *program_files(answer.programs, os.environ),
    ]
    return stamps(name for name in files if not name.startswith(str(MAKEFILES)))


def own_version() -> list[tuple[str, Stamp]]:
    """The state of the makefiles that ask: another version's answers are not ours."""
    return [(name.name, stamp(name)) for name in sorted(MAKEFILES.glob("*.mk"))]


def _run_make(
    tree: KernelTree, variables: tuple[tuple[str, str], ...], environ: Mapping[str, str], *, btf_threads: bool
) -> TreeOutput:
    in_directory = builds_in_directory(tree)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        placeholder = str(Path(scratch).resolve() / "module")
        records, environment = Path(scratch) / "records", Path(scratch) / "environment"
        make_placeholder(tree, Path(placeholder), in_directory=in_directory)
        cwd = placeholder if in_directory else str(tree.objects)
        asked = base_environment(environ, cwd) | {
            "KBUILDPY_TREE": str(tree.objects),
            "KBUILDPY_MK": str(MAKEFILES),
            "KBUILDPY_RECORDS": str(records),
            "KBUILDPY_ENVIRONMENT": str(environment),
            "KBUILDPY_BTF_THREADS": "1" if btf_threads else "",
        }
        argv = ["make", "--no-print-directory", "-f", str(MAKEFILES / "tree.mk"), "kbuildpy-tree", f"M={placeholder}"]
        done = run([*argv, *(f"{name}={value}" for name, value in variables)], cwd=cwd, env=asked, check=False)
        text = records.read_text(errors="surrogateescape") if records.exists() else ""
        output = TreeOutput(
            placeholder=placeholder,
            in_directory=in_directory,
            cwd=cwd,
            environment=asked,
            exported=environment.read_bytes() if environment.exists() else b"",
            records=list(read_records(text)),
            stdout=done.text,
            stderr=done.error_text,
        )
    failed = done.returncode != 0 or not output.facts
    refuse_missing_compiler(tree, output.programs, environ, stderr=done.error_text if failed else "")
    if failed:
        raise make_failed(f"{tree.objects}: the kernel tree's makefiles failed", done.error_text)
    return output


def _repeats_headers(tree: KernelTree) -> bool:
    """Whether the tree's fixdep writes down a header twice that a depfile has twice; where it cannot run (it is another
    machine's) the version tells."""
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        for name, text in (("x.d", "x.o: x.c x.h x.h\n"), ("x.c", ""), ("x.h", "")):
            Path(scratch, name).write_text(text)
        try:
            done = run([tree.objects / _FIXDEP, "x.d", "x.o", "compile"], cwd=scratch, check=False)
        except (CommandError, OSError):
            return tree.version < (6, 3)
    return done.text.count("  x.h \\\n") == 2 if done.returncode == 0 else tree.version < (6, 3)
