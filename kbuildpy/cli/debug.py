# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy debug`: the commands that debug a module on this machine, in the kernel that runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kbuildpy.cli.shared_options import add_format, named_path, named_word
from kbuildpy.debug.commands import Debuggee, gdb_commands, parts
from kbuildpy.debug.find_modules import Finder
from kbuildpy.debug.live_tools import Site, TraceEvent
from kbuildpy.debug.loaded_file import LoadedFile, find_loaded_file
from kbuildpy.debug.running_kernel import RunningKernel, read_running_kernel
from kbuildpy.debug.running_module import checked_name, loaded_names, read_running_module
from kbuildpy.debug.script_file import write_script
from kbuildpy.debug.subjects import read_subject, read_vmlinux
from kbuildpy.debug.tool_part import ToolPart
from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.info.report import messages_of, trace_events_of
from kbuildpy.kernel.depmod_indexes import built_in_modules
from kbuildpy.kernel.module_files import MODULE_SUFFIXES, find_modules
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.printable import printable, printable_error
from kbuildpy.similar import did_you_mean

EXAMPLES = (
    "kbuildpy debug hello",
    "kbuildpy debug build/6.1.0-56-amd64/hello.ko --script hello.gdb",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy debug`."""
    parser.epilog = (
        "Nothing is run or changed: the commands are printed, for gdb and drgn over /proc/kcore, dynamic debug, "
        "tracing and the log. Only root can read the addresses that gdb needs. A module's file is looked for in "
        "build/RELEASE of this directory, then in /lib/modules/RELEASE. Exit status: 0 done; 1 something that gdb "
        "needs is missing, and standard error says what; 2 the call was wrong."
    )
    parser.add_argument("module", metavar="NAME | FILE", type=named_word, help="a module by its name or its file")
    parser.add_argument(
        "--vmlinux", metavar="FILE", type=named_path, help="the running kernel with debug information (default: found)"
    )
    parser.add_argument("--script", metavar="FILE", type=named_path, help="write gdb's commands into FILE, for gdb -x")
    add_format(parser, "in words (default), or one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the commands; 0 if nothing is missing for gdb."""
    return print_commands(args, Path("/"))


def print_commands(args: argparse.Namespace, root: Path) -> int:
    """The same for the system whose root directory is `root`."""
    kernel = read_running_kernel(root=root)
    debuggee = _debuggee(args.module, args.vmlinux, kernel, root)
    inside = [printable(line) for line in gdb_commands(debuggee)]
    if args.script is not None and inside:
        write_script(args.script, inside, option="--script")
    found = parts(debuggee, *_tables(debuggee.file), script=args.script if inside else None)
    if args.format == "json":
        print(json.dumps(_as_json(debuggee, found)))
    else:
        for line in _as_text(debuggee, found):
            print(line)
    sys.stdout.flush()
    if args.script is not None and not inside:
        print(f"kbuildpy: {printable(str(args.script))} was not written", file=sys.stderr)
    for words, hint in debuggee.obstacles:
        print(f"kbuildpy: {printable_error(words, hint)}", file=sys.stderr)
    return 1 if debuggee.obstacles else 0


def _debuggee(word: str, vmlinux: Path | None, kernel: RunningKernel, root: Path) -> Debuggee:
    """The module that `word` names. Raises `UsageError` for a word that names none."""
    finder = Finder(Path.cwd(), root)
    if "/" in word or word.endswith(MODULE_SUFFIXES):
        [path] = _file(Path(word))
        subject = read_subject(path, root=root)
        name = checked_name(subject.module)
        running = read_running_module(name, root=root)
        file: LoadedFile | None = LoadedFile(subject, running)
    else:
        name = checked_name(word)
        running = read_running_module(name, root=root)
        file = find_loaded_file(name, running, finder, kernel.release)
    directory = modules_directory(kernel.release, root=root)
    is_built_in = running is None and directory is not None and name in built_in_modules(directory)
    if running is None and file is None and not is_built_in:
        raise KbuildError(
            f"{name} is not loaded, and kernel {kernel.release} has no module of that name",
            hint=did_you_mean(name, loaded_names(root=root)) or f"name a file: kbuildpy debug PATH/{name}.ko",
        )
    return Debuggee(
        name=name,
        kernel=kernel,
        running=running,
        file=file,
        vmlinux=read_vmlinux(vmlinux) if vmlinux else finder.kernel(kernel.release, kernel.build_id),
        is_built_in=is_built_in,
        copy=Path.cwd() / f"{name}.gdb.ko",
    )


def _file(path: Path) -> list[Path]:
    if path.is_dir():
        raise UsageError(f"{path}: a directory", hint="name one module, by its name or its file")
    return find_modules([path])


def _tables(file: LoadedFile | None) -> tuple[list[Site] | None, list[TraceEvent]]:
    """The module's debug messages, None where they cannot be read, and its trace events."""
    if file is None:
        return None, []
    image: ModuleImage = file.subject.image
    try:
        sites = [Site(message.file, message.line, message.function) for message in messages_of(image)]
        events = [TraceEvent(point.system, point.name) for point in trace_events_of(image)]
    except KbuildError:
        return None, []
    return sites, events


def _as_text(debuggee: Debuggee, found: Sequence[ToolPart]) -> Iterator[str]:
    yield printable(_about(debuggee))
    for part in found:
        yield ""
        yield part.heading
        yield from (f"    {line}" for line in part.commands)
        if part.inside:
            yield f"  at {part.prompt}"
        yield from (f"    {line}" for line in part.inside)
        yield from (f"  {note}" for note in part.notes)


def _about(debuggee: Debuggee) -> str:
    state = "loaded in" if debuggee.running else "built into" if debuggee.is_built_in else "not loaded in"
    words = f"{debuggee.name}: {state} the running kernel {debuggee.kernel.release}"
    if debuggee.file is None:
        return words
    same = {True: ", the same build", False: ", another build", None: ""}[debuggee.file.is_same_build]
    return f"{words}; {debuggee.file.subject.file}{same}"


def _as_json(debuggee: Debuggee, found: Sequence[ToolPart]) -> dict[str, object]:
    file, running = debuggee.file, debuggee.running
    return {
        "module": debuggee.name,
        "kernel": debuggee.kernel.release or None,
        "loaded": running is not None,
        "file": str(file.subject.file) if file else None,
        "debug_file": str(file.debug_file) if file and file.has_debug_info else None,
        "same_build": file.is_same_build if file else None,
        "vmlinux": str(debuggee.vmlinux.file) if debuggee.vmlinux else None,
        "sections": dict(running.sections) if running and debuggee.has_addresses else {},
        "lockdown": debuggee.kernel.lockdown or None,
        "gdb_script": [printable(line) for line in gdb_commands(debuggee)],
        "tools": [
            {
                "tool": part.tool,
                "commands": list(part.commands),
                "inside": list(part.inside),
                "notes": list(part.notes),
            }
            for part in found
        ],
        "missing": [{"problem": words, "hint": hint} for words, hint in debuggee.obstacles],
    }
