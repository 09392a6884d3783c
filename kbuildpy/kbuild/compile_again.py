# SPDX-License-Identifier: GPL-2.0-only
"""Runs the compiler once more for an object that did not compile: for its messages, or for the preprocessed text.

No file is written. The messages are in English and without colours, whatever was printed on the terminal.
"""

from __future__ import annotations

import re

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.command import split_command
from kbuildpy.kbuild.job import Job
from kbuildpy.kbuild.namespace import entry
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.run import run

_OUTPUT = re.compile(r"-Wp,-M|-MMD$|-MD$|-save-temps|-dumpdir")
_MESSAGES = ("-fsyntax-only", "-fdiagnostics-color=never")
_PREPROCESSED = ("-E", "-dD", "-w")


def messages_of(job: Job, step: BuildStep) -> str:
    """The compiler's messages for `step` of `job`; "" if the command needs a shell or the compiler cannot start."""
    return _again(job, step, _MESSAGES)[1]


def preprocessed(job: Job, step: BuildStep) -> str:
    """The preprocessed source of `step`, with the macros' `#define` lines; "" as for `messages_of`."""
    return _again(job, step, _PREPROCESSED)[0]


def _again(job: Job, step: BuildStep, options: tuple[str, ...]) -> tuple[str, str]:
    layout = job.layout
    commands = split_command(layout.relocate(step.command, (job.target, *job.outputs)))
    if not commands or "-o" not in commands[0]:
        return "", ""
    words = _without_output(commands[0])
    begin = entry(layout.overlay, job.cwd) if layout.overlay else None
    try:
        done = run(
            [*words, *options],
            cwd=job.cwd,
            env={**job.env, "LC_ALL": "C"},
            check=False,
            begin=begin,
        )
    except KbuildError:
        return "", ""
    said = done.error_text.replace(*layout.renames) if layout.renames else done.error_text
    return done.stdout.decode(errors="replace"), said


def _without_output(words: list[str]) -> list[str]:
    """The command without `-c`, `-o FILE` and the options that write files."""
    found: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == "-o":
            skip = True
        elif word not in ("-c", "-S", "-E") and not _OUTPUT.match(word):
            found.append(word)
    return found
