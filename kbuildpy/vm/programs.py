# SPDX-License-Identifier: GPL-2.0-only
"""The tests that run in a guest: scripts, static programs, and sources in C that are compiled here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.elf.headers import EHDR
from kbuildpy.elf.sections import read_sound_ehdr
from kbuildpy.errors import CommandError, KbuildError, UsageError
from kbuildpy.program_packages import install_command
from kbuildpy.run import run
from kbuildpy.say import complain
from kbuildpy.similar import similar_file
from kbuildpy.vm.machine import Machine

_ELF = b"\x7fELF"
_ET_EXEC, _ET_DYN, _PT_INTERP = 2, 3, 3
# A program that needs the C library, with the part of it that is linked statically, and nothing else.
_ONLY_THE_LIBRARY = b'#include <stdio.h>\nint main(void) { return puts(""); }\n'
# What a guest has to run scripts with: busybox, by the names of those of its programs that do.
_INTERPRETER = re.compile(r"(?:/usr)?/bin/(?:sh|ash|awk|bc|busybox|dc|ed|sed)")


@dataclass(frozen=True)
class GuestTest:
    """A test as it was given."""

    __test__ = False  # (to pytest)

    name: str
    """The one that people see."""
    file: Path | None
    """The program; None for a command of the guest's."""
    words: tuple[str, ...]
    """How it is called in the guest, in the directory that has all tests and files."""

    @property
    def kind(self) -> str:
        """`program`, or `command` for what the guest has itself."""
        return "program" if self.file else "command"


@dataclass(frozen=True)
class GuestFile:
    """A file for the guest, beside the tests."""

    name: str
    contents: bytes
    executable: bool


def read_test(word: str) -> GuestTest:
    """The test that `word` names: a file, or the words of one with its arguments.

    Raises `UsageError` for what cannot be run.
    """
    try:
        words = [word] if os.path.lexists(word) else shlex.split(word)
    except ValueError:
        words = [word]
    if not words:
        raise UsageError("--test: an empty name")
    file = Path(words[0])
    first = _first_bytes(file, "--test")
    if file.suffix == ".c":
        return GuestTest(word, file, (f"./{file.stem}", *words[1:]))
    if not first.startswith(_ELF):
        _check_script(file, first)
    return GuestTest(word, file, (f"./{file.name}", *words[1:]))


def read_command(words: Sequence[str]) -> GuestTest:
    """The test that is a command of the guest's (`-- COMMAND ...`). Raises `UsageError` without one."""
    if not words:
        raise UsageError("--: no command follows", hint="kbuildpy run FILE.ko -- COMMAND ARGUMENT ...")
    return GuestTest(shlex.join(words), None, tuple(words))


def guest_files(tests: Sequence[GuestTest], files: Sequence[Path], machine: Machine) -> list[GuestFile]:
    """What the guest gets for `tests`, and `files` beside them; sources in C are compiled for `machine`.

    Raises `UsageError` for a program that a guest of `machine` cannot run and for two of one name, `KbuildError` with
    the compiler's words for a source that does not compile.
    """
    found: dict[str, GuestFile] = {}
    origins: dict[str, Path] = {}
    programs = dict.fromkeys(test.file for test in tests if test.file)
    for file, is_test in [*((file, True) for file in programs), *((file, False) for file in files)]:
        compiles = is_test and file.suffix == ".c"
        name = file.stem if compiles else file.name
        other = origins.setdefault(name, file)
        if other.resolve() != file.resolve():
            raise UsageError(f"{other} and {file} would both be /tests/{name} in the guest", hint="rename one of them")
        if name in found:
            continue
        contents = _compiled(file, machine) if compiles else _contents(file, "--test" if is_test else "--file")
        if is_test and contents.startswith(_ELF):
            _check_elf(file, contents, machine)
        found[name] = GuestFile(name, contents, executable=is_test or os.access(file, os.X_OK))
    return list(found.values())


def scripts(tests: Sequence[GuestTest]) -> Mapping[str, bytes]:
    """For each test the line that the guest's shell runs, by its path in the guest."""
    return {
        f"modules/test.{number}": os.fsencode(f"exec {shlex.join(test.words)}\n") for number, test in enumerate(tests)
    }


def _first_bytes(file: Path, option: str) -> bytes:
    contents = _contents(file, option)
    if not contents:
        raise UsageError(f"{option} {file}: an empty file")
    return contents


def _contents(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        hint = similar_file(file) if isinstance(error, FileNotFoundError) else ""
        raise UsageError(f"{option} {file}: {error.strerror}", hint=hint) from error


def _check_script(file: Path, contents: bytes) -> None:
    first, _, _ = contents.partition(b"\n")
    if b"\r" in first:
        raise UsageError(f"--test {file}: its lines end with CR LF", hint="shells do not accept that: save it with LF")
    if first.startswith(b"#!"):
        line = first[2:].decode(errors="replace").strip()
        words = line.split()
        interpreter = words[0] if words else ""
        if interpreter == "/usr/bin/env" and len(words) == 2:
            interpreter = f"/bin/{words[1]}"
        if not _INTERPRETER.fullmatch(interpreter):
            raise UsageError(
                f"--test {file}: the guest has no {words[-1] if words else 'interpreter'} to run it with (#!{line})",
                hint="it has busybox's shell (#!/bin/sh) and its other programs",
            )
    elif file.suffix != ".sh":
        raise UsageError(
            f"--test {file}: neither a script (#!/bin/sh), nor a static program, nor a source in C (.c)",
            hint="--file FILE puts other files beside the tests",
        )


def _check_elf(file: Path, contents: bytes, machine: Machine) -> None:
    try:
        header = read_sound_ehdr(contents, str(file))
    except KbuildError as error:
        raise UsageError(f"--test {file}: damaged: {error.message.removeprefix(f'{file}: ')}") from error
    known = machine.architecture
    if (header.e_machine, header.is_64bit, header.order) != (known.elf_machine, known.bits == 64, known.order):
        raise UsageError(
            f"--test {file}: a program for another machine than {machine.name}",
            hint=f"compile it for the kernel's machine, or name its source (.c), which {machine.compiler} compiles",
        )
    if header.e_type not in (_ET_EXEC, _ET_DYN):
        raise UsageError(f"--test {file}: not linked, so it is no program", hint="link it with gcc -static")
    _, _, _, _, start, _, _, _, size, count, *_ = struct.unpack_from(known.order + EHDR[header.is_64bit], contents, 16)
    rows = (contents[at : at + 4] for at in range(start, start + min(count, 999) * size, size or 1))
    if struct.pack(f"{known.order}I", _PT_INTERP) in rows:
        raise UsageError(
            f"--test {file}: linked dynamically, and the guest has no libraries", hint="link it with -static"
        )


def _compiled(source: Path, machine: Machine) -> bytes:
    compiler = "gcc" if machine.native else machine.compiler
    if shutil.which(compiler) is None:
        raise KbuildError(
            f"{compiler}: program not found, to compile {source}", hint=install_command([machine.compiler_package])
        )
    with TemporaryDirectory(prefix="kbuildpy-vm-") as scratch:
        program = Path(scratch) / source.stem
        options = ["-static", "-O2", "-Wall", "-pthread", f"-I{source.parent}"]
        try:
            done = run([compiler, *options, "-o", program, source], timeout=300)
        except CommandError as error:
            package = "libc6-dev" if machine.native else machine.compiler_package
            hint = "" if _has_library(compiler, Path(scratch)) else install_command([package])
            raise KbuildError(f"{source}: {compiler} cannot compile it:\n{error.stderr.strip()}", hint=hint) from error
        _warn(done.error_text)
        return program.read_bytes()


def _has_library(compiler: str, scratch: Path) -> bool:
    """Whether `compiler` finds the C library, its headers and what a static program takes of it."""
    argv: list[str | Path] = [compiler, "-static", "-x", "c", "-", "-o", scratch / "library"]
    return run(argv, input=_ONLY_THE_LIBRARY, check=False, timeout=60).returncode == 0


def _warn(said: str) -> None:
    if said.strip():
        complain(said.rstrip())
