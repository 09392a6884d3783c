# SPDX-License-Identifier: GPL-2.0-only
"""The command line: `kbuildpy COMMAND ...`, one file per command.

Each command's file has `add_arguments(parser)`, `run(args) -> int` and `EXAMPLES`, two or more, and is imported only
when its command is called: `kbuildpy --help` and shell completion must not wait for SCons or cryptography. A new
command takes a file of its name here and a line in `COMMANDS`.

- Commands: `new`, `init`, `build`, `watch`, `lint`, `explain`, `check`, `keygen`, `sign`, `verify`, `provenance`,
  `sbom`, `reproduce`, `install`, `package`, `run`, `cache`, `dkms`, `matrix`, `info`, `graph`, `decode`, `debug`,
  `which`, `abi`, `preflight`, `kernel`, `kernels`, `doctor`, `report`, `completion`.
- `shared_options`: options that several commands have (`-k`, `-j`, `-q`, `-v`, `--format`), and VAR=VALUE.
- `parameters`: `--params`, of `check` and `run`.
- `package_modules`, `package_sources`: the work of `package`, which imports the loader.
- `sign_modules`, `verify_modules`, `make_key`: the work of `sign`, `verify` and `keygen`, which imports cryptography.
- `check_output`: what `check` prints, in each format; `check_script`: `check --script`.
- `matrix_output`: what `matrix` prints and writes.
- `info_reports`, `fields_output`: what `info` prints. `graph_output`: what `graph` reads and writes.
- `offered_kernels`: `kernels --available`, `--fetch` and `--remove`; `kernels_table`: aligned columns.
- `kernel_options`: what describes a kernel to build, of `kernel build` and `run --with`.
- `run_instrumented`, `run_with`: what `run` builds first, for --coverage and for --with.
- `which_judge`: the part of `which` that asks a kernel.
- `explain_output`: what `explain` prints of flags; `explain_symbols`: `explain --symbol`.
- `complete_words`: what may follow the words of a call, with `completed_values` (for a metavar), `completed_kernels`
  and `completed_names` (what the machine and our files tell); `shells/`: what asks for it.
- `manual_pages`: manual pages, from the same parsers.
- `progress`: a bar on the terminal; `terminal`: asking for passphrases; `signals`: ending by SIGTERM and SIGHUP.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from kbuildpy import __version__
from kbuildpy.cli.signals import Ended, as_exceptions
from kbuildpy.errors import KbuildError
from kbuildpy.pin import pin_taken
from kbuildpy.printable import printable
from kbuildpy.similar import did_you_mean

# In the order in which a module passes through them. Each name is also the name of the command's file.
COMMANDS = {
    "new": "make a project for a new module, from a template",
    "init": "write the project files of SCons and DKMS for existing modules",
    "build": "build the modules of a directory, as `make -C KDIR M=DIR modules` does",
    "watch": "build the modules of a directory again whenever a file changes, and check or run them",
    "lint": "run checkers (sparse, smatch, -fanalyzer, ...) over the sources of modules",
    "explain": "say where the flags of an object come from, or who exports a symbol",
    "check": "say whether a kernel's loader would accept modules, without loading them",
    "keygen": "make a key for signing modules, and its certificate",
    "sign": "sign modules, as scripts/sign-file does",
    "verify": "check the signatures of modules, and whether kernels trust them",
    "provenance": "write down what modules were built from, signed with the key of the release",
    "sbom": "write what modules are made of as SPDX documents",
    "reproduce": "build a module again from what was recorded, by kbuildpy and by make, and compare the bytes",
    "install": "install modules that were built, as `make -C KDIR M=DIR modules_install` does",
    "package": "make packages (deb, rpm, sysext, oci, tar) of modules, checked for their kernel",
    "cache": "show a shared cache of built files, or bound its size",
    "dkms": "build and install packages of modules for a machine's kernels, as dkms does",
    "run": "load modules in a real kernel, in QEMU, and report complaints of the kernel",
    "matrix": "build, sign, check and run many modules for many kernels",
    "info": "show what a module file has: modinfo's fields, memory, imports, devices",
    "graph": "draw which module needs which, and for which symbols",
    "decode": "turn the addresses in a kernel's log into functions, files and lines",
    "debug": "print the commands that debug a module on this machine: gdb, drgn, dynamic debug, tracing",
    "which": "say what this machine will do with a module's name: which file, trusted or not, loaded or not",
    "abi": "say what changed between two kernels, why symbols have other CRCs, and whether that touches a module",
    "preflight": "say what this machine would lose with another kernel, before it is booted",
    "kernel": "build a small kernel for testing modules, with sanitizers or other options, from sources",
    "kernels": "list the kernel trees that modules can be built against, and fetch others",
    "doctor": "say what this machine has and lacks for each command, with the packages to install",
    "report": "put what is known of a failure into one archive, without secrets and private paths",
    "completion": "print what bash, zsh and fish complete, or install that and manual pages",
}

_TAKES_COMMAND = ("report", "run", "watch")
"""Commands that take another command behind --: `report` records it, `run` runs it in a guest, `watch` after each
build."""

_NOT_NOTED = ("completion", "doctor", "report")
"""Commands whose failures are not noted."""
_INTERRUPTED = 128 + 2  # the exit status by which a shell reports a program that was ended by SIGINT
_NO_READER = 128 + 13  # the same for SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 the work failed, 2 the call was wrong.

    A `KbuildError` is printed as a message and a hint, without a traceback. Wrong arguments, `--help` and `--version`
    end with `SystemExit`, as argparse does it.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _open_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A path may have any bytes; it is printed byte for byte, as other tools do.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        args = _parse(words)
        with as_exceptions(), pin_taken():
            status: int = args.run(args)
        sys.stdout.flush()
        if status == 1:
            _note(words, status)
        return status
    except KbuildError as error:
        _complain(error.message, error.hint)
        if error.status != 2:
            _note(words, error.status, error.message, error.hint)
        return error.status
    except Ended as signalled:
        # (the terminal may be gone)
        with suppress(OSError):
            _complain_of_end(signalled.number)
        return 128 + signalled.number
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes once more at its end, which must not fail (Python's documentation of SIGPIPE).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}", "")
        _note(words, 1, f"{where}{error.strerror or error}")
        return 1
    except Exception as error:
        # (a defect of ours; Python prints the traceback)
        _note(words, 1, defect=error)
        raise


def _open_standard_streams() -> None:
    """Open /dev/null for standard streams that are closed (`>&-`, some daemons). Otherwise the first file that is
    opened becomes standard output, and the compiler writes its messages into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # (open() returns the lowest free descriptor)
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0)  # noqa: SIM115
    # (SCons restores sys.__stdout__ at its end)
    if sys.stdout is None:
        sys.stdout = sys.__stdout__ = open(1, "w")  # type: ignore[misc]  # noqa: SIM115 - while the process runs
    if sys.stderr is None:
        sys.stderr = open(2, "w")  # noqa: SIM115


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse `words`. A command with a positional argument `words` or `files` accepts it before and after options."""
    command: list[str] | None = None
    if "--" in words and _called(words) in _TAKES_COMMAND:
        # (argparse would take -- for the end of the options)
        split = list(words).index("--")
        words, command = words[:split], list(words[split + 1 :])
    parser = _parser(words)
    called = _called(words)
    if not words:
        parser.error("name a command: kbuildpy --help lists them")
    if called and called not in COMMANDS:
        parser.error(f"unknown command {called}{_suggestion(called, COMMANDS)}")
    args, rest = parser.parse_known_args(words)
    args.command = command
    # argparse fills a list of words only once: from `build DIR -k all V=1` it leaves V=1 over.
    listed = next((name for name in ("words", "files") if hasattr(args, name)), "")
    if rest and (not listed or any(word.startswith("-") for word in rest)):
        _refuse(rest, args.parser)
    if listed == "files":
        if "" in rest:
            args.parser.error("an empty name")
        args.files += map(Path, rest)
    elif listed:
        args.words += rest
    return args


def _refuse(rest: Sequence[str], parser: argparse.ArgumentParser) -> NoReturn:
    """End with the usage of the command that `parser` is for, which does not know the words `rest`."""
    option = next((word for word in rest if word.startswith("-")), "")
    if not option:
        parser.error(f"unexpected argument {rest[0]}")
    name = option.partition("=")[0]
    options = re.findall(r"(?<!\S)--[a-z][a-z-]*", parser.format_help())
    parser.error(f"unknown option {name}{_suggestion(name, options)}")


def _suggestion(name: str, names: Iterable[str]) -> str:
    question = did_you_mean(name, names)
    return f"; {question}" if question else ""


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for `words`: the names of all commands, and the arguments of the called one."""
    parser = argparse.ArgumentParser(
        prog="kbuildpy",
        description="Builds out-of-tree Linux kernel modules, byte for byte as Kbuild does.",
        epilog="Exit status: 0 done; 1 the work failed; 2 the call was wrong.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kbuildpy {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    called = _called(words)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=_sentence(summary), allow_abbrev=False, formatter_class=_Help
        )
        if name == called:
            module = import_module(f"kbuildpy.cli.{name}")
            module.add_arguments(command)
            examples = "".join(f"\n  {example}" for example in module.EXAMPLES)
            command.epilog = f"{command.epilog or ''}\n\nexamples:{examples}".strip()
            command.set_defaults(run=module.run, parser=command)
    return parser


class _Help(argparse.HelpFormatter):
    """Fills paragraphs, and leaves the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            "\n".join(indent + line for line in paragraph.split("\n"))
            if paragraph.startswith("examples:")
            else super(_Help, self)._fill_text(paragraph, width, indent)
            for paragraph in paragraphs
        )


def whole_parser() -> argparse.ArgumentParser:
    """The parser of kbuildpy itself, with the names of all commands."""
    return _without_colours(_parser(()))


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one of `COMMANDS`, for what is made of it: manual pages, completion."""
    commands = [action for action in _parser((name,))._actions if isinstance(action, argparse._SubParsersAction)]
    return _without_colours(commands[0].choices[name])


def _without_colours(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    # (Python 3.14 colours the texts that a parser formats for a terminal)
    parser.color = False  # type: ignore[attr-defined]
    return parser


def _called(words: Sequence[str]) -> str:
    """The command's name: the first word that is not an option, because no option before it takes a value."""
    return next((word for word in words if not word.startswith("-")), "")


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _note(
    words: Sequence[str], status: int, message: str = "", hint: str = "", *, defect: Exception | None = None
) -> None:
    """Note for `kbuildpy report --last` that the command `words` failed."""
    if _called(words) not in _NOT_NOTED:
        from kbuildpy.report.last_failure import note_failure  # (of no use to a command that does not fail)

        note_failure(words, status, message=message, hint=hint, defect=defect)


def _complain_of_end(number: int) -> None:
    print(f"kbuildpy: ended by {signal.Signals(number).name}", file=sys.stderr, flush=True)


def _complain(message: str, hint: str) -> None:
    # (a compiler's message has several lines)
    first, *others = message.split("\n")
    for line in (f"kbuildpy: error: {first}", *others, *(f"  {line}" for line in hint.splitlines())):
        print(printable(line), file=sys.stderr)
