# SPDX-License-Identifier: GPL-2.0-only
"""The final link of a module (scripts/Makefile.modfinal); the tree's answer has the commands."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kbuildpy.errors import CommandError
from kbuildpy.kbuild.command import run_command
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.tree_answer import COMMON_OBJECT
from kbuildpy.run import how_it_failed
from kbuildpy.say import say


def link_module(
    steps: Sequence[BuildStep],
    *,
    out: str,
    directory: str,
    below: str,
    module_object: str,
    cwd: str,
    env: Mapping[str, str],
    in_directory: bool,
    verbose: bool,
    whose: str,
    display: str,
    hear_objtool: Callable[[str], None],
    hear: Callable[[str], None] | None = None,
) -> None:
    """Make `out`/`below`.ko by `steps`, whose commands name files in `directory`; on failure no file is left.

    `display` is the module's name in the line that announces BTF, "" for neither that line nor Kbuild's of a `vmlinux`
    that is not there. `hear_objtool` is called with what objtool says, `hear` with what any program does.
    """
    ko = Path(f"{out}/{below}.ko")
    nominal = f"{below}.o" if in_directory else f"{directory}/{below}.o"
    try:
        for step in steps:
            text = re.sub(rf"(?<!\S){re.escape(nominal)}(?!\S)", lambda _: module_object, step.command)
            if not in_directory:
                text = re.sub(_own_names(directory, below), lambda _: f"{out}/", text)
                text = text.replace(f"{out}/{os.path.relpath(module_object, directory)}", module_object)
            if step.rule == "btf_ko":
                if display and _has_vmlinux(text, cwd) is True:
                    say(f"  BTF [M] {display}")
                elif not display and _has_vmlinux(text, cwd) is False:
                    # (the command would do nothing but say so)
                    continue
            status = run_command(
                text, cwd=cwd, env=env, verbose=verbose, whose=whose, hear_objtool=hear_objtool, hear=hear
            )
            if status:
                raise CommandError(f"{below}.ko: Kbuild's {step.rule} {how_it_failed(status)}", returncode=status)
    except BaseException:
        ko.unlink(missing_ok=True)
        raise


def _own_names(directory: str, below: str) -> str:
    """A pattern for the directory before the names of the module's own files: not of a toolchain that is in it."""
    return rf"(?<![^\s='\"]){re.escape(directory)}/(?=(?:{re.escape(below)}\.|{re.escape(COMMON_OBJECT)})(?!\S*/))"


def _has_vmlinux(command: str, cwd: str) -> bool | None:
    """Whether the `vmlinux` is there that the command of BTF looks for; None for a command that looks for none."""
    found = re.search(r"\[ (?:! )?-f (\S+) \]", command)
    return Path(cwd, found.group(1)).exists() if found else None
