# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy doctor`: what this machine has and lacks for each command."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence

from kbuildpy import __version__
from kbuildpy.cli.shared_options import add_format, add_quiet
from kbuildpy.distribution import SYSTEMS, System, os_release_value, this_system
from kbuildpy.doctor.diagnosis import Diagnosis, LookedFor, diagnose, install_commands, unpackaged
from kbuildpy.doctor.look import ThisMachine
from kbuildpy.doctor.needs_of_commands import PARTS
from kbuildpy.errors import UsageError
from kbuildpy.printable import printable
from kbuildpy.similar import did_you_mean

EXAMPLES = (
    "kbuildpy doctor",
    "kbuildpy doctor build run",
    "kbuildpy doctor --system fedora --format json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy doctor`."""
    parser.epilog = (
        "Looks for programs, Python packages, headers, kernel trees and kernels, /dev/kvm and namespaces, and starts "
        "nothing. Exit status: 0 each of the commands can be used, at least for its usual work; 1 one lacks something "
        "that it cannot do without; 2 the call was wrong."
    )
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help="commands of kbuildpy (default: all)")
    parser.add_argument(
        "--system",
        choices=SYSTEMS,
        metavar="SYSTEM",
        help=f"name the packages of {', '.join(SYSTEMS)} (default: those of this system)",
    )
    add_quiet(parser, "print only the commands that install what is missing")
    add_format(parser, "text (default), or one JSON object for each command")


def run(args: argparse.Namespace) -> int:
    """Print the diagnosis of each command; 0 if all can be used."""
    for name in args.commands:
        if name not in PARTS:
            raise UsageError(f"{name}: no command of kbuildpy", hint=did_you_mean(name, PARTS) or "kbuildpy --help")
    system = SYSTEMS[args.system] if args.system else this_system()
    machine = ThisMachine()
    found = [diagnose(name, machine) for name in dict.fromkeys(args.commands or PARTS)]
    if args.format == "json":
        for each in found:
            print(json.dumps(each.to_json(system)))
    elif args.quiet:
        for command in install_commands((item for each in found for item in each.missing), system):
            print(command)
    else:
        print(_machine_line())
        for each in found:
            for line in _lines(each, in_full=bool(args.commands)):
                print(printable(line))
        _print_advice(found, system)
    return 1 if any(each.missing for each in found) else 0


def _machine_line() -> str:
    name = os_release_value("PRETTY_NAME") or "a Linux of its own"
    return printable(
        f"kbuildpy {__version__}, Python {platform.python_version()}, {name}, {os.uname().machine}, "
        f"Linux {os.uname().release}"
    )


def _lines(each: Diagnosis, *, in_full: bool) -> list[str]:
    lacks = ", ".join(item.name for item in each.missing)
    lines = [f"{each.command:<11} {f'lacks {lacks}' if lacks else 'ready'}"]
    if in_full:
        own = [item for item in each.needs if not item.purpose and item.found.value]
        lines += [f"    {_shown(item)}" for item in own]
        for purpose in dict.fromkeys(item.purpose for item in each.needs if item.purpose):
            lines.append(f"  {purpose}")
            lines += [f"    {_shown(item)}" for item in each.needs if item.purpose == purpose]
        return lines
    parts = each.lacking_parts.items()
    return [*lines, *(f"{'':11}   not for {what}: {', '.join(item.name for item in items)}" for what, items in parts)]


def _shown(item: LookedFor) -> str:
    return f"{item.name}: {item.found.value or 'missing'}"


def _print_advice(found: Sequence[Diagnosis], system: System | None) -> None:
    missing = [item for each in found for item in each.missing]
    others = [item for each in found for items in each.lacking_parts.values() for item in items]
    for what, items in (("To make all of these commands ready", missing), ("For everything else", others)):
        commands = install_commands(items, system)
        nowhere = unpackaged(items, system)
        if commands or nowhere:
            print(f"{what}{'' if system else ' (names of Debian)'}:")
        for command in commands:
            print(printable(f"  {command}"))
        if nowhere:
            print(printable(f"  no package is known for: {', '.join(nowhere)}"))
