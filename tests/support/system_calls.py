# SPDX-License-Identifier: GPL-2.0-only
"""Boots a kernel whose process 1 makes system calls (system_calls.c), and tells what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.run import run
from kbuildpy.vm import cpio
from kbuildpy.vm.asynchronous import is_asynchronous
from kbuildpy.vm.qemu import boot
from tests.support.guest_kernels import EXPEDITED

_REPORT = "kbuildpy: "

Call = tuple[str, ...]
"""("load", FILE, ARGS), ("unload", NAME, FLAGS), ("open", PATH), ("close", PATH), ("print", PATH). What ("Load", FILE,
ARGS) and ("Unload", NAME, FLAGS) begin goes on until ("wait", NAME) sets the parameter that the module waits for."""


@dataclass(frozen=True)
class Answer:
    """`errno` is 0 when the call succeeded, -1 when the kernel killed who made it; `log` is what the kernel logged
    meanwhile, and `lines` are those of a file that was printed."""

    call: Call
    errno: int
    log: tuple[str, ...]
    lines: tuple[str, ...] = ()


def make_calls(
    image: Path,
    calls: Sequence[Call],
    files: Mapping[str, bytes],
    scratch: Path,
    *,
    parameters: tuple[str, ...] = (),
    timeout: float = 300,
) -> list[Answer]:
    """Boot `image` with `files` in its file system, and make the calls one after the other; `parameters` are the
    kernel's."""
    program = scratch / "init"
    run(["gcc", "-static", "-O1", "-Wall", "-Werror", "-o", program, Path(__file__).with_name("system_calls.c")])
    plan = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for call in calls for word in call)
    initramfs = cpio.archive(
        [
            cpio.file("init", program.read_bytes(), executable=True),
            cpio.character_device("dev/console", 5, 1),
            *(cpio.directory(mount_point) for mount_point in ("proc", "sys")),
            cpio.file("plan", plan),
            *(cpio.file(path, contents) for path, contents in files.items()),
        ]
    )
    log = boot(image, initramfs, parameters=(EXPEDITED, *parameters), timeout=timeout).log
    return _answers(log, calls)


def as_logged(line: str) -> list[str]:
    """`line` of a verdict as `boot` returns it: one for each line within it, and what is no UTF-8 replaced."""
    text = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("\r", "").split("\n")


def _answers(log: Sequence[str], calls: Sequence[Call]) -> list[Answer]:
    answers: list[Answer] = []
    meanwhile: list[str] = []
    printed: list[str] = []
    for line in log:
        if not line.startswith(_REPORT):
            if not is_asynchronous(line):
                meanwhile.append(line)
            continue
        word, _, rest = line.removeprefix(_REPORT).partition(" ")
        if word == "line":
            printed.append(rest)
        elif word not in ("begin", "end"):
            assert calls[len(answers)][0] == word
            answers.append(Answer(calls[len(answers)], int(rest), tuple(meanwhile), tuple(printed)))
        if word != "line":
            meanwhile, printed = [], []
    return answers
