# SPDX-License-Identifier: GPL-2.0-only
"""Runs make over a kernel tree's makefiles (`mk/tree.mk`), for `ask_tree`."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.btf_threads import without_btf_threads
from kbuildpy.kbuild.make_environment import base_environment
from kbuildpy.kbuild.make_output import OURS, Makefiles, make_failed, read_records
from kbuildpy.kbuild.parse_tree_answer import TreeOutput, parse_tree_answer
from kbuildpy.kbuild.placeholder import builds_in_directory, make_placeholder
from kbuildpy.kbuild.tree_answer import FIXDEP, TreeAnswer
from kbuildpy.kbuild.tree_programs import refuse_missing_compiler
from kbuildpy.kernel.fetched import is_fetched
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable
from kbuildpy.run import run

_OUTPUT = re.compile(r"^(?:export\s+)?KBUILD_OUTPUT\s*:?=\s*([^\s$]+)\s*$", re.MULTILINE)


def make_tree_answer(
    tree: KernelTree, variables: tuple[tuple[str, str], ...], environ: Mapping[str, str], *, btf_threads: bool
) -> TreeAnswer:
    """Run make for the answer of `tree`. Returns and raises as `ask_tree`; keeps no cache."""
    _refuse_moved(tree)
    output = run_tree_make(tree, variables, environ, btf_threads=btf_threads)
    answer = parse_tree_answer(tree, output, variables=variables, repeats_headers=_repeats_headers(tree))
    return answer if btf_threads else without_btf_threads(answer)


def _refuse_moved(tree: KernelTree) -> None:
    """Refuse an object part whose Makefile names another one (7.2 and later write their own path there): Kbuild would
    build against that one, or fail where it is gone."""
    found = _OUTPUT.search((tree.objects / "Makefile").read_text(errors="surrogateescape"))
    if found is None or Path(found[1]).resolve() == tree.objects:
        return
    makefile = tree.objects / "Makefile"
    hint = f"name that tree, or write KBUILD_OUTPUT = {tree.objects} into {makefile}"
    if is_fetched(tree.objects):
        hint = f"kbuildpy kernels --fetch {shlex.quote(tree.release)}    # mends it"
    raise KbuildError(
        f"{tree.objects}: the kernel tree was moved or copied: its Makefile says that it is {printable(found[1])}, and "
        "Kbuild would look there",
        hint=hint,
    )


def run_tree_make(
    tree: KernelTree,
    variables: tuple[tuple[str, str], ...],
    environ: Mapping[str, str],
    *,
    btf_threads: bool = False,
    makefiles: Makefiles = OURS,
) -> TreeOutput:
    """Run make over `tree.mk` of `makefiles`; returns what it printed.

    Raises `KbuildError` with make's message where make fails, `CommandError` for a missing compiler.
    """
    in_directory = builds_in_directory(tree)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        placeholder = str(Path(scratch).resolve() / "module")
        records, environment = Path(scratch) / "records", Path(scratch) / "environment"
        make_placeholder(tree, Path(placeholder), in_directory=in_directory)
        cwd = placeholder if in_directory else str(tree.objects)
        asked = base_environment(environ, cwd) | {
            "KBUILDPY_TREE": str(tree.objects),
            "KBUILDPY_MK": str(makefiles.folder),
            "KBUILDPY_RECORDS": str(records),
            "KBUILDPY_ENVIRONMENT": str(environment),
            "KBUILDPY_BTF_THREADS": "1" if btf_threads else "",
            **makefiles.environment,
        }
        top = str(makefiles.folder / "tree.mk")
        argv = ["make", "--no-print-directory", "-f", top, "kbuildpy-tree", f"M={placeholder}"]
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
    """Whether the tree's fixdep writes a header twice that a depfile names twice. If fixdep cannot run (it may be for
    another architecture), the kernel's version decides."""
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        for name, text in (("x.d", "x.o: x.c x.h x.h\n"), ("x.c", ""), ("x.h", "")):
            Path(scratch, name).write_text(text)
        try:
            done = run([tree.objects / FIXDEP, "x.d", "x.o", "compile"], cwd=scratch, check=False)
        except (CommandError, OSError):
            return tree.version < (6, 3)
    return done.text.count("  x.h \\\n") == 2 if done.returncode == 0 else tree.version < (6, 3)
