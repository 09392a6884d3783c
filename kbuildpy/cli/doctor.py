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
from kbuildpy.doctor.diagnosis import Diagnosis, LookedFor, diagnose, install_commands, package_names, unpackaged
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
            for line in _in_full(each, system) if args.commands else _in_short(each):
                print(printable(line))
        _print_advice(found, system)
    return 1 if any(each.missing for each in found) else 0


def _machine_line() -> str:
    name = os_release_value("PRETTY_NAME") or "a Linux of its own"
    return printable(
        f"kbuildpy {__version__}, Python {platform.python_version()}, {name}, {os.uname().machine}, "
        f"Linux {os.uname().release}"
    )


def _in_short(each: Diagnosis) -> list[str]:
    """Whether a command is ready, and what it cannot do."""
    parts = each.lacking_parts.items()
    return [
        _state(each),
        *(f"{'':11}   not for {what}: {', '.join(item.name for item in items)}" for what, items in parts),
    ]


def _in_full(each: Diagnosis, system: System | None) -> list[str]:
    """Everything that was looked for: what is lacking first, with its packages, then what is there."""
    lines = [_state(each)]
    for what, items in each.lacking_parts.items():
        lines.append(f"  not for {what}: {', '.join(_with_packages(item, system) for item in items)}")
    there = [item for item in each.needs if item.found.value]
    for name in dict.fromkeys(item.name for item in there):
        purposes = [item.purpose for item in there if item.name == name]
        value = next(item.found.value for item in there if item.name == name)
        what = "" if "" in purposes else f" (for {'; '.join(purposes)})"
        lines.append(f"    {name}: {value}{what}")
    return lines


def _state(each: Diagnosis) -> str:
    lacks = ", ".join(item.name for item in each.missing)
    return f"{each.command:<11} {f'lacks {lacks}' if lacks else 'ready'}"


def _with_packages(item: LookedFor, system: System | None) -> str:
    """The name of what is lacking, and its packages if they are called otherwise."""
    names = package_names(item, system or SYSTEMS["debian"])
    return f"{item.name} ({names})" if names not in ("", item.name) else item.name


def _print_advice(found: Sequence[Diagnosis], system: System | None) -> None:
    """The commands that install what is missing, and what is only for some calls."""
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
