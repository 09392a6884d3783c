# SPDX-License-Identifier: GPL-2.0-only
"""The commands of what a kernel has itself to watch a module: dynamic debug, ftrace and kprobes, its log.

Documentation of the kernel: admin-guide/dynamic-debug-howto, trace/ftrace, trace/kprobetrace.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kbuildpy.debug.running_kernel import RunningKernel
from kbuildpy.debug.tool_part import ToolPart

_PLAIN = re.compile(r"[\w.+-]+", re.ASCII)
_TRACEFS = "/sys/kernel/tracing"
_EVENTS = 3


class Site(NamedTuple):
    """A message of a module that dynamic debug can switch on."""

    file: str
    line: int
    function: str


class TraceEvent(NamedTuple):
    """A trace event of a module."""

    system: str
    name: str


def debug_message_commands(
    name: str, kernel: RunningKernel, sites: Sequence[Site] | None, file: Path | None
) -> ToolPart:
    """Switching on the module's messages of pr_debug() and dev_dbg()."""
    part = ToolPart("dyndbg", "dynamic debug: the module's pr_debug() and dev_dbg()")
    if kernel.lacks("CONFIG_DYNAMIC_DEBUG") and kernel.lacks("CONFIG_DYNAMIC_DEBUG_CORE"):
        return replace(part, notes=("the kernel has no dynamic debug (CONFIG_DYNAMIC_DEBUG)",))
    if sites is not None and not sites:
        return replace(part, notes=("the module has no such messages",))
    control = kernel.debug_control
    commands = []
    if control:
        queries = [f"module {name}", *_places(name, sites or ())]
        commands += [f"echo {shlex.quote(f'{query} +p')} > {shlex.quote(control)}" for query in queries]
        commands.append(f"grep -F {shlex.quote(f'[{name}]')} {shlex.quote(control)}")
    loading = f"modprobe {name}"
    if file is not None and "/lib/modules/" not in str(file):
        loading = shlex.join(["insmod", str(file)])
    commands.append(f"{loading} dyndbg=+p")
    notes = [] if sites is None else [_counted(sites)]
    if not control:
        notes.append("the control file is not there: mount debugfs at /sys/kernel/debug")
    elif kernel.is_locked_down and not control.startswith("/proc/"):
        notes.append(f"the kernel is locked down ({kernel.lockdown}), and refuses to write there")
    notes.append("the last line is for loading it: messages of the init function; -p in place of +p switches off")
    return replace(part, commands=tuple(commands), notes=tuple(notes))


def trace_commands(
    name: str, kernel: RunningKernel, function: str, events: Sequence[TraceEvent], file: Path | None
) -> ToolPart:
    """Tracing the module's functions, one function with a probe, its own trace events."""
    part = ToolPart("trace", "tracing: every call of its functions, one function, its own events")
    if kernel.lockdown == "confidentiality":
        # (LOCKDOWN_TRACEFS, LOCKDOWN_KPROBES)
        return replace(part, notes=("the kernel is locked down (confidentiality), and refuses tracing",))
    place = shlex.quote(kernel.tracefs or _TRACEFS)
    commands = [] if kernel.tracefs else [f"mount -t tracefs tracefs {place}"]
    notes = []
    if kernel.lacks("CONFIG_FUNCTION_TRACER"):
        notes.append("the kernel does not trace functions (CONFIG_FUNCTION_TRACER)")
    else:
        commands += [f"echo ':mod:{name}' > {place}/set_ftrace_filter", f"echo function > {place}/current_tracer"]
    if function and not kernel.lacks("CONFIG_KPROBE_EVENTS"):
        commands += [
            f"echo 'p:{name}_{function} {name}:{function}' >> {place}/kprobe_events",
            f"echo 1 > {place}/events/kprobes/{name}_{function}/enable",
        ]
    plain = [event for event in events if _PLAIN.fullmatch(event.system) and _PLAIN.fullmatch(event.name)]
    commands += [f"echo 1 > {place}/events/{event.system}/{event.name}/enable" for event in plain[:_EVENTS]]
    if len(events) > _EVENTS:
        notes.append(f"{len(events)} trace events of its own: kbuildpy info -v lists them")
    commands.append(f"cat {place}/trace_pipe")
    commands += [f"echo nop > {place}/current_tracer", f"echo > {place}/set_ftrace_filter"]
    if function and not kernel.lacks("CONFIG_KPROBE_EVENTS"):
        commands += [
            f"echo 0 > {place}/events/kprobes/{name}_{function}/enable",
            f"echo '-:{name}_{function}' >> {place}/kprobe_events",
        ]
        if file is not None:
            commands += [
                shlex.join(["perf", "probe", "-m", str(file), "--add", function]),
                f"perf record -e probe:{function} -aR sleep 10",
            ]
    notes.append("the lines below trace_pipe end it; perf is another way to the same probe")
    return replace(part, commands=tuple(commands), notes=tuple(notes))


def log_commands(name: str, file: Path | None) -> ToolPart:
    """The log of the kernel, with the places in the module."""
    part = ToolPart("log", "its log; an oops with files and lines")
    commands = [f"journalctl -k -f -g {name}"]
    if file is not None:
        decode = shlex.join(["kbuildpy", "decode", "-", str(file)])
        commands += [f"journalctl -k -b -o short-monotonic | {decode}", f"dmesg | {decode}"]
    return replace(part, commands=tuple(commands))


def _places(name: str, sites: Sequence[Site]) -> list[str]:
    """Queries for one function and for one line, of the first message whose names need no quotes."""
    for site in sites:
        source = site.file.rpartition("/")[2]
        if _PLAIN.fullmatch(source) and _PLAIN.fullmatch(site.function):
            return [f"module {name} func {site.function}", f"module {name} file {source} line {site.line}"]
    return []


def _counted(sites: Sequence[Site]) -> str:
    functions = len({(site.file, site.function) for site in sites})
    return (
        f"{len(sites)} message{'s' * (len(sites) != 1)} in {functions} function{'s' * (functions != 1)}; "
        "kbuildpy info -v lists them"
    )
