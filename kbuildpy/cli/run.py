# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run`: load modules in a real kernel and report the kernel's complaints."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.cli.parameters import add_params, read_params, words_of
from kbuildpy.cli.shared_options import (
    add_compilers,
    add_format,
    add_kernels,
    add_quiet,
    add_sets,
    add_verbose,
    named_path,
)
from kbuildpy.debug.explain import explainer
from kbuildpy.debug.subjects import subject_of
from kbuildpy.errors import KbuildError, UsageError, unexpected
from kbuildpy.info.message_places import MessagePlace, message_queries, read_place
from kbuildpy.info.report import messages_of
from kbuildpy.kernel.instrumented import is_instrumented
from kbuildpy.kernel.module_files import find_modules, module_name, no_modules_below
from kbuildpy.printable import printable
from kbuildpy.vm.describe import as_text, describe_test
from kbuildpy.vm.devices import check_devices
from kbuildpy.vm.kernels import Kernel, find_kernels, kernels_of_releases
from kbuildpy.vm.located import with_places
from kbuildpy.vm.machine import machine_of_module
from kbuildpy.vm.programs import GuestTest, read_command, read_test
from kbuildpy.vm.qemu import require_programs
from kbuildpy.vm.result import Result, TestResult, damaged
from kbuildpy.vm.session import run_modules
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import Trial, read_trial

if TYPE_CHECKING:
    from kbuildpy.cli.run_instrumented import Asked
    from kbuildpy.coverage.faults import FaultResult

EXAMPLES = (
    "kbuildpy run hello.ko -k 6.1.0-56-amd64",
    "kbuildpy run BUILD --test tests/demo.sh --format junit",
    "kbuildpy run drv.ko --module 'i2c-stub chip_addr=0x48' -- ls /dev",
    "kbuildpy run DIR --coverage --fail-nth all --test tests/demo.sh",
    "kbuildpy run DIR --with kasan,lockdep --test tests/demo.sh",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy run`."""
    parser.epilog = (
        "The kernel's log goes to standard error as it arrives, the results go to standard output. "
        "Without -k, a module runs in the kernel that KDIR or KERNELRELEASE names, else in the kernel "
        "that it was built for. With several -k, it runs in the kernel that it was built for if that is "
        "among them, else in each. Exit status: 0 all were loaded "
        "and removed without complaint, and all tests passed; 1 not all; 2 the call was wrong. `-- "
        "COMMAND ...`, as the last words, is a test as well: a command of the guest."
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE | DIR", type=named_path, help="modules, or directories of them"
    )
    add_kernels(parser, "a release, a kernel tree's path, an image's path, `running`, `all` or `fetched`")
    add_params(parser, whose="of the only module")
    parser.add_argument("--dyndbg", action="store_true", help="turn on the modules' dynamic debug messages")
    parser.add_argument(
        "--dyndbg-at",
        action="append",
        default=[],
        metavar="PLACE",
        help="turn on those in a file (x.c), at lines (x.c:12, x.c:10-20), in a function or a module",
    )
    parser.add_argument(
        "--timeout",
        type=int,
        default=20,
        metavar="SECONDS",
        help="time limit of each init and exit function (default: 20)",
    )
    parser.add_argument("--memory", type=int, default=512, metavar="MIB", help="the guest's memory (default: 512)")
    parser.add_argument("--append", action="append", default=[], metavar="WORDS", help="kernel parameters")
    parser.add_argument(
        "--test",
        action="append",
        default=[],
        dest="tests",
        metavar="PROGRAM",
        help="run PROGRAM in the guest with the modules loaded: a script for /bin/sh, a static program, or a source in "
        "C; with arguments: 'PROGRAM ARG ...'",
    )
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        dest="test_files",
        metavar="FILE",
        type=named_path,
        help="put FILE beside the tests",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        dest="devices",
        metavar="DEVICE",
        help="a device, as QEMU's -device has it",
    )
    parser.add_argument(
        "--module",
        action="append",
        default=[],
        dest="modules",
        metavar="'NAME [PARAM=VALUE ...]'",
        help="one of the kernel's own modules to load first",
    )
    parser.add_argument("--test-timeout", type=int, default=60, metavar="SECONDS", help="for each test (default: 60)")
    parser.add_argument(
        "--wait",
        type=int,
        default=0,
        metavar="SECONDS",
        help="keep the modules loaded for N seconds after the tests",
    )
    parser.add_argument(
        "--keep", action="store_true", help="give a shell in the guest once the modules are loaded (needs a terminal)"
    )
    parser.add_argument(
        "--gdb",
        nargs="?",
        type=int,
        const=1234,
        default=0,
        metavar="PORT",
        help="wait for a debugger at 127.0.0.1:PORT (default: 1234) once the modules are loaded (--gdb-at)",
    )
    parser.add_argument(
        "--gdb-at",
        choices=("init", "loaded"),
        default="loaded",
        help="where --gdb stops the guest: before the first init function of the given modules, or when all are loaded "
        "(default)",
    )
    parser.add_argument(
        "--gdb-script",
        metavar="FILE",
        type=named_path,
        help="write the commands for gdb into FILE, for `gdb -x FILE`; with --gdb",
    )
    parser.add_argument(
        "--drgn-script",
        metavar="FILE",
        type=named_path,
        help="write a script for drgn (0.3 or later) into FILE, for `drgn --qemu SOCKET FILE`; with --gdb",
    )
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="tell which lines of the modules were reached; of a directory with a Kbuild file, instrumented modules "
        "are built, and a FILE is one of `kbuildpy build --coverage`",
    )
    parser.add_argument(
        "--coverage-output",
        metavar="DIR",
        type=named_path,
        help="where lcov.info and index.html go, in a folder for each kernel (default: coverage)",
    )
    parser.add_argument(
        "--fail-nth",
        metavar="N|all",
        help="let the modules' Nth call of an allocator fail, or all of them, one after the other, each in a boot of "
        "its own; for the same modules as --coverage",
    )
    add_sets(
        parser,
        "build a kernel with these sets of options (kasan, lockdep, ...; see `kbuildpy kernel build --with help`) and "
        "the modules for it, and run them there; of the same line as -k's kernel",
    )
    add_compilers(parser)
    add_verbose(parser, "also show the kernel's log of its start")
    add_quiet(parser, "do not show the kernel's log")
    add_format(
        parser,
        "text (default), one JSON object for each module, or a JUnit document",
        formats=("text", "json", "junit"),
    )


def run(args: argparse.Namespace) -> int:
    """Run the modules, each in its kernels; 0 if there were no complaints."""
    settings = _settings(args)
    asked = _asked(args)
    if (args.llvm or args.update) and not args.sets:
        raise UsageError("--llvm and --update belong to --with", hint="kbuildpy run DIR --with kasan --llvm")
    if args.sets:
        settings = _with_sets(args, settings, is_instrumented=asked is not None)
    if asked:
        from kbuildpy.cli.run_instrumented import instrumented_files  # (for --coverage and --fail-nth only)

        args.files = instrumented_files(args.files, args.kernels, quiet=args.quiet)
    else:
        args.files = _files(args.files)
    parameters = _parameters(args.params, args.files)
    places = [read_place(word) for word in args.dyndbg_at]
    if places and args.dyndbg:
        raise UsageError("--dyndbg turns on all messages, --dyndbg-at some of them", hint="remove one of the two")
    trials, results = _read(args.files, parameters)
    trials = _with_messages(trials, places) if places else trials
    if not asked:
        _refuse_instrumented(trials)
    # (before a kernel is fetched)
    require_programs(filter(None, (machine_of_module(trial.image) for trial in trials)))
    plan = _plan(args.kernels, trials)
    if len(plan) > 1 and (settings.keep or settings.gdb):
        option = "--keep" if settings.keep else "--gdb"
        raise UsageError(f"{option} with {len(plan)} kernels: one at a time", hint="name one with -k")
    missing = [result.name for result in results]
    explain = explainer([subject_of(trial.image, trial.file) for trial in trials], Path.cwd())
    done = _print_results(results, args.format)
    calls: dict[str, list[TestResult]] = {}
    sound = True
    for kernel, chosen in plan:
        show = _begin(kernel, settings, quiet=args.quiet)
        if asked:
            from kbuildpy.cli.run_instrumented import run_instrumented

            # (an object of JSON has what was reached in all boots, so it is printed in the end)
            late = args.format == "json" and asked.coverage
            own = "" if late else args.format
            found = run_instrumented(
                kernel,
                chosen,
                settings,
                asked,
                explain=explain,
                show=show,
                missing=missing,
                take=functools.partial(_print_results, form=own),
                tell=_tell if args.format == "text" else lambda text: None,
                tell_fault=functools.partial(_print_fault, form=own),
            )
            sound = sound and found.passed
            done += found.results
            calls[kernel.release] = [fault.as_test() for fault in found.faults]
            if late:
                _tell("\n".join(map(json.dumps, found.to_json())))
        else:
            ran = run_modules(kernel, chosen, settings, show=show, missing=missing)
            done += _print_results((with_places(each, explain) for each in ran), args.format)
    if args.format == "junit":
        from kbuildpy.vm.junit import as_junit

        print(as_junit(done, calls))
    elif args.format == "text" and len(done) > 1:
        print(f"{sum(result.content for result in done)} of {len(done)} without complaint", file=sys.stderr)
    return 0 if sound and all(result.passed for result in done) else 1


def _print_results(results: Iterable[Result], form: str) -> list[Result]:
    """`results` of one kernel, each printed in a format when there is one; the tests' last, in text."""
    found = []
    for result in results:
        found.append(result)
        if form == "text":
            _tell(as_text(result))
        elif form == "json":
            _tell(json.dumps(result.to_json()))
    if form == "text" and found:
        for test in found[0].tests:
            _tell(describe_test(test, found[0].kernel))
    return found


def _print_fault(fault: FaultResult, form: str) -> None:
    if form == "text":
        _tell(fault.as_text())
    elif form == "json":
        _tell(json.dumps(fault.to_json()))


def _tell(text: str) -> None:
    print(text, flush=True)


def _begin(kernel: Kernel, settings: Settings, *, quiet: bool) -> Callable[[bytes], None]:
    """Where the log of `kernel` goes; says that it is booted."""
    show: Callable[[bytes], None] = (lambda chunk: None) if quiet and not (settings.keep or settings.gdb) else _show
    show(f"kbuildpy: booting {printable(kernel.release)} ({printable(str(kernel.image))})\n".encode())
    return show


def _asked(args: argparse.Namespace) -> Asked | None:
    """What is asked of instrumented modules, if anything is."""
    if args.coverage_output and not args.coverage:
        raise UsageError("--coverage-output is for --coverage", hint="add --coverage")
    if not args.coverage and args.fail_nth is None:
        return None
    from kbuildpy.cli.run_instrumented import Asked, read_fail_nth

    fail_nth = read_fail_nth(args.fail_nth)
    if fail_nth is not None and (args.keep or args.gdb):
        raise UsageError("--fail-nth boots again and again: leave out --keep and --gdb")
    return Asked(args.coverage, fail_nth, args.coverage_output or Path("coverage"))


def _with_sets(args: argparse.Namespace, settings: Settings, *, is_instrumented: bool) -> Settings:
    """Build kernel and modules for `--with`, and have `args` name these; the settings of the run."""
    from kbuildpy.cli.run_with import prepare  # (for --with only)

    if is_instrumented:
        raise UsageError("--with and --coverage or --fail-nth: one of them at a time")
    found = prepare(args.files, args.kernels, args.sets, llvm=args.llvm, update=args.update, quiet=args.quiet)
    args.files, args.kernels = found.files, found.kernels
    return replace(settings, append=(*found.append, *settings.append))


def _refuse_instrumented(trials: Sequence[Trial]) -> None:
    """Refuse modules that cannot be loaded without the module that watches them (`UsageError`)."""
    for trial in trials:
        if is_instrumented(trial.image):
            raise UsageError(
                f"{trial.file}: instrumented: it cannot be loaded without the module that watches it",
                hint="add --coverage or --fail-nth, or name the module of a build without --coverage",
            )


def _files(named: Sequence[Path]) -> list[Path]:
    """The modules that are named, and those of directories. (A file that does not exist is reported like a damaged
    one.)"""
    if not any(path.is_dir() for path in named):
        return [*named]
    found = [file for path in named for file in (find_modules([path]) if path.is_dir() else [path])]
    if not found:
        raise no_modules_below(named)
    return list(dict.fromkeys(found))


def _read(files: Sequence[Path], parameters: Mapping[Path, str]) -> tuple[list[Trial], list[Result]]:
    """The modules to try, and the results of files that are damaged."""
    trials, results = [], []
    for file in files:
        try:
            trials.append(read_trial(file, parameters.get(file, "")))
        except UsageError:
            raise
        except KbuildError as error:
            results.append(damaged(file, error))
        except Exception as error:  # an unreadable file does not end the run over the others
            results.append(damaged(file, unexpected(file, error)))
    return trials, results


def _with_messages(trials: Sequence[Trial], places: Sequence[MessagePlace]) -> list[Trial]:
    """`trials` with the messages at `places` switched on."""
    messages = {trial.name: messages_of(trial.image) for trial in trials}
    queries = message_queries(places, messages)
    return [replace(trial, debug_query=queries[trial.name]) for trial in trials]


def _settings(args: argparse.Namespace) -> Settings:
    if args.timeout < 1:
        raise UsageError(f"--timeout {args.timeout}: at least one second")
    if args.memory < 64:
        raise UsageError(f"--memory {args.memory}: a kernel needs at least 64 MiB, and most need 256")
    if not 0 <= args.gdb < 1 << 16:
        raise UsageError(f"--gdb {args.gdb}: ports are numbered from 0 to 65535")
    if args.gdb_script and not args.gdb:
        raise UsageError("--gdb-script is for --gdb", hint="add --gdb")
    if args.drgn_script and not args.gdb:
        raise UsageError("--drgn-script is for --gdb", hint="add --gdb")
    if args.gdb_at == "init" and not args.gdb:
        raise UsageError("--gdb-at init is for --gdb", hint="add --gdb")
    if args.gdb_at == "init" and args.keep:
        raise UsageError("--gdb-at init and --keep both need the guest's console", hint="leave one of them out")
    if args.test_timeout < 1:
        raise UsageError(f"--test-timeout {args.test_timeout}: at least one second")
    if args.wait < 0:
        raise UsageError(f"--wait {args.wait}: not a number of seconds, 0 or more")
    if args.keep and not os.isatty(0):
        raise UsageError("--keep gives a shell on the terminal, but standard input is not a terminal")
    return Settings(
        limit=args.timeout,
        memory=args.memory,
        append=tuple(args.append),
        dyndbg=args.dyndbg,
        keep=args.keep,
        gdb=args.gdb,
        gdb_at_init=args.gdb_at == "init",
        gdb_script=args.gdb_script,
        drgn_script=args.drgn_script,
        verbose=args.verbose,
        tests=_tests(args),
        files=tuple(args.test_files),
        test_limit=args.test_timeout,
        linger=args.wait,
        devices=tuple(args.devices),
        modules=tuple(args.modules),
    )


def _tests(args: argparse.Namespace) -> tuple[GuestTest, ...]:
    """The tests in order; the command behind -- is last."""
    tests = [read_test(word) for word in args.tests]
    if args.command is not None:
        tests.append(read_command(args.command))
    if not all(word.strip() for word in args.modules):
        raise UsageError("--module: an empty name")
    check_devices(args.devices)
    return tuple(tests)


def _parameters(given: Sequence[str], files: Sequence[Path]) -> dict[Path, str]:
    """The parameters of each file. Raises `UsageError` for parameters without a module's name if there are several."""
    names = {file: module_name(file.name) for file in files}
    found = read_params(given, list(names.values()))
    unclear = next((item for item in found if not item.module), None)
    if unclear and len(names) > 1:
        first = next(iter(names.values()))
        raise UsageError(
            f"--params {unclear.words!r}: of which module?",
            hint=f"name the module: --params '{first}: {unclear.words}'",
        )
    return {file: words for file, name in names.items() if (words := words_of(name, found))}


def _plan(words: Sequence[str], trials: Sequence[Trial]) -> list[tuple[Kernel, list[Trial]]]:
    """The modules that run in each kernel."""
    if not trials:
        return []
    named = words or os.environ.get("KDIR") or os.environ.get("KERNELRELEASE")
    built_for = list(dict.fromkeys(trial.release for trial in trials))
    kernels = find_kernels(words, os.environ) if named or not all(built_for) else kernels_of_releases(built_for)
    releases = {kernel.release for kernel in kernels}
    plan = []
    for kernel in kernels:
        chosen = [trial for trial in trials if trial.release == kernel.release or trial.release not in releases]
        if chosen:
            plan.append((kernel, chosen))
    return plan


def _show(chunk: bytes) -> None:
    """Write to standard error, unbuffered and byte for byte: a shell's output need not be text."""
    sys.stderr.flush()
    os.write(2, chunk)
