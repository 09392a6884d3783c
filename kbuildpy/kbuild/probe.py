# SPDX-License-Identifier: GPL-2.0-only
"""Compiles a probe, a C text of kbuildpy's, with a tree's compiler and the flags of a `.mod.c`.

The compiled probe has sizes, offsets and strings of macros. Kbuild does the same with its `offsets.c` files
(scripts/Makefile.lib: sed-offsets). A probe is compiled to assembly, which is text. In a kernel with link time
optimization the compiler's output is bitcode, also with `-S`, so a probe is compiled without, as Kbuild compiles its
`asm-offsets.s`. `errors_of` asks only for the compiler's errors, and no file is written.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import CommandError
from kbuildpy.kbuild.cmd_file import read_depfile
from kbuildpy.kbuild.command import split_command
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.run import run


class CompiledProbe(NamedTuple):
    """A compiled probe."""

    assembly: bytes
    """The text of the compiler's output (`-S`)."""
    headers: tuple[str, ...]
    """The headers that the compiler read (absolute), without autoconf.h."""


def compile_probe(answer: TreeAnswer, source: str, *, environ: Mapping[str, str]) -> CompiledProbe:
    """Compile the C text `source` as the tree of `answer` compiles a `.mod.c`.

    Raises `CommandError` with the compiler's message when that fails.
    """
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        directory = str(Path(scratch).resolve())
        argv = _compile_words(answer, directory)
        argv[argv.index("-c")] = "-S"
        Path(directory, "probe.mod.c").write_text(source)
        cwd = answer.working_directory(directory)
        run(argv, cwd=cwd, env=answer.environment_for(environ, directory))
        _, names = read_depfile(Path(directory, ".probe.mod.o.d").read_text(errors="surrogateescape"))
        headers = tuple(os.path.normpath(os.path.join(cwd, name)) for name in names)  # noqa: PTH118
        return CompiledProbe(Path(directory, "probe.mod.o").read_bytes(), headers)


def errors_of(answer: TreeAnswer, source: str, *, environ: Mapping[str, str], generate: bool = False) -> str:
    """The compiler's standard error for the C text `source`: the full paths of the headers that it reads (`-H`), and
    all its errors and warnings in English, one a line.

    The flags are those of a `.mod.c`, with three changes. A warning is an error only where the flags name that warning.
    A call of an undeclared function is an error. Warnings about the style of `source` (missing prototypes, unused
    variables) are off. GCC reports an error in a macro at the place where the macro is used. With `generate` the
    compiler also generates code, which is thrown away: it reports some errors only then, if there are no earlier ones
    (`__compiletime_error()`). Raises `CommandError` for a compiler that crashes or is killed.
    """
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        directory = str(Path(scratch).resolve())
        argv = [word for word in _compile_words(answer, directory) if not word.startswith(("-Wp,-MMD", "-Wp,-MD"))]
        at = argv.index("-c")
        end = argv.index("-o", at)
        is_gcc = answer.tree.config.get("CONFIG_CC_IS_CLANG") != "y"
        result = ("-S", "-o", os.devnull) if generate else ("-fsyntax-only",)
        argv = [
            *argv[:at],
            *result,
            *_ALL_ERRORS,
            *(_OF_GCC if is_gcc else _OF_CLANG),
            *argv[at + 1 : end],
            *argv[end + 2 :],
        ]
        Path(directory, "probe.mod.c").write_text(source, errors="surrogateescape")
        cwd = answer.working_directory(directory)
        done = run(argv, cwd=cwd, env={**answer.environment_for(environ, directory), "LC_ALL": "C"}, check=False)
        if done.returncode not in (0, 1):
            said = done.error_text.strip().splitlines()
            raise CommandError(
                f"{argv[0]} failed with status {done.returncode}: {said[-1] if said else 'no message'}",
                hint="the compiler itself is broken, or was killed: is there enough memory?",
                stderr=done.error_text,
                returncode=done.returncode,
            )
        return _IN_FULL.sub(lambda match: f"{match[1]}{os.path.normpath(os.path.join(cwd, match[2]))}", done.error_text)  # noqa: PTH118


_ALL_ERRORS = (
    *("-H", "-fdiagnostics-color=never", "-fno-diagnostics-show-caret"),
    *("-Wno-error", "-Werror=implicit-function-declaration", "-Werror=implicit-int", "-Wno-error=return-type"),
    *("-Wno-strict-prototypes", "-Wno-missing-prototypes", "-Wno-missing-declarations", "-Wno-unused"),
    "-Wno-declaration-after-statement",
)
_OF_GCC = ("-fmax-errors=0", "-ftrack-macro-expansion=0")
_OF_CLANG = ("-ferror-limit=0", "-fno-caret-diagnostics")
# What asks for bitcode (Makefile: CC_FLAGS_LTO), and what clang refuses without (CC_FLAGS_CFI, up to 6.0).
_OF_LTO = ("-flto", "-fsplit-lto-unit", "-fsanitize=cfi", "-fsanitize-cfi-cross-dso")
_IN_FULL = re.compile(r"^(\.+ )(.+)$", re.MULTILINE)


def _compile_words(answer: TreeAnswer, directory: str) -> list[str]:
    """The command that compiles `directory`/probe.mod.c."""
    steps = answer.steps_for(answer.compile_mod_c, directory=directory, module="probe")
    commands = split_command(steps[0].command) or [[]]
    if "-c" not in commands[0]:
        raise CommandError(
            f"{answer.tree.objects}: its compiler's command cannot be used for a probe, because it needs a shell",
            hint="give KCFLAGS and the like without $ and ` (see the command with V=1)",
        )
    return [word for word in commands[0] if not word.startswith(_OF_LTO)]
