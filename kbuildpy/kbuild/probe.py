# SPDX-License-Identifier: GPL-2.0-only
"""Compiles a C file of ours with a tree's compiler and the flags of a `.mod.c`: for sizes, offsets, strings of macros.

Kbuild does the same with its `offsets.c` files (scripts/Makefile.lib: sed-offsets). A probe is compiled to assembly,
which can be read also where an object would be no ELF file (LTO).
"""

from __future__ import annotations

import os
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
    """The assembly."""
    headers: tuple[str, ...]
    """The headers that it is made from (absolute), without autoconf.h."""


def compile_probe(answer: TreeAnswer, source: str, *, environ: Mapping[str, str]) -> CompiledProbe:
    """Compile the C text `source` as the tree of `answer` compiles a `.mod.c`.

    Raises `CommandError` with the compiler's message when that fails.
    """
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        directory = str(Path(scratch).resolve())
        steps = answer.steps_for(answer.compile_mod_c, directory=directory, module="probe")
        commands = split_command(steps[0].command) or [[]]
        argv = commands[0]
        if "-c" not in argv:
            raise CommandError(
                f"{answer.tree.objects}: its compiler's command cannot be used for a probe, because it needs a shell",
                hint="give KCFLAGS and the like without $ and ` (see the command with V=1)",
            )
        argv[argv.index("-c")] = "-S"
        Path(directory, "probe.mod.c").write_text(source)
        cwd = answer.working_directory(directory)
        run(argv, cwd=cwd, env=answer.environment_for(environ, directory))
        _, names = read_depfile(Path(directory, ".probe.mod.o.d").read_text(errors="surrogateescape"))
        headers = tuple(os.path.normpath(os.path.join(cwd, name)) for name in names)  # noqa: PTH118
        return CompiledProbe(Path(directory, "probe.mod.o").read_bytes(), headers)
