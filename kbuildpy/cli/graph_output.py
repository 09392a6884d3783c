# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy graph` reads and writes. Apart from `graph`: it imports the loader."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.graph.as_dot import as_dot
from kbuildpy.graph.as_json import to_json
from kbuildpy.graph.gather import graph_of
from kbuildpy.graph.module_graph import ModuleGraph, around
from kbuildpy.graph.page import as_page
from kbuildpy.graph.picture import as_picture
from kbuildpy.graph.read_module import LinkedModule, read_linked
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve_one, resolve_release
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_chosen import loader_kernel
from kbuildpy.new_files import NewFile, write_new
from kbuildpy.printable import printable, printable_error
from kbuildpy.similar import did_you_mean


def print_graph(args: argparse.Namespace, files: Sequence[Path], format: str) -> int:
    """Write the graph of `files` in `format`; 0 if every file could be read."""
    say: Callable[[str], None] = (lambda text: None) if args.quiet else _say
    kernel = _named_kernel(args.kernels)
    found, failed = _read(files)
    if not found:
        return 1
    modules, release = _of_one_kernel(found, kernel, say)
    graph = graph_of(modules, kernel or _kernel_of(release, say))
    if args.around:
        names = [name.replace("-", "_") for name in args.around]
        _check_names(graph, names)
        graph = around(graph, names, args.distance)
    text = _written(graph, format, every=args.every_edge)
    if args.output is None:
        print(text)
    else:
        write_new([NewFile(args.output, f"{text}\n".encode("utf-8", "surrogateescape"))], force=True)
    return 1 if failed else 0


def _written(graph: ModuleGraph, format: str, *, every: bool) -> str:
    if format == "json":
        return json.dumps(to_json(graph))
    if format == "dot":
        return as_dot(graph)
    return as_page(graph, every=every) if format == "html" else as_picture(graph, every=every)


def _read(files: Iterable[Path]) -> tuple[list[LinkedModule], bool]:
    """The modules in `files`, and whether one could not be read, which is told; the others go on."""
    found, failed = [], False
    for file in files:
        try:
            found.append(read_linked(file))
        except KbuildError as error:
            print(f"kbuildpy: error: {printable_error(error.message, error.hint)}", file=sys.stderr)
            failed = True
    return found, failed


def _of_one_kernel(
    found: Sequence[LinkedModule], kernel: LoaderKernel | None, say: Callable[[str], None]
) -> tuple[list[LinkedModule], str]:
    """One module of each name, and the release that they were built for; "" if none is stated. Of several builds those
    for `kernel` count. Raises `UsageError` for modules of several kernels, if none was named."""
    releases = list(dict.fromkeys(module.built_for for module in found if module.built_for))
    release = kernel.release if kernel else releases[0] if releases else ""
    if len(releases) > 1 and kernel is None:
        raise UsageError(
            f"the modules were built for several kernels: {', '.join(map(printable, releases))}",
            hint="name one with -k, or the directory of one",
        )
    fitting = [module for module in found if module.built_for == release] if release in releases else [*found]
    if len(fitting) < len(found):
        say(f"{len(found) - len(fitting)} modules were built for other kernels than {release}, and are left out")
    modules: dict[str, LinkedModule] = {}
    for module in fitting:
        taken = modules.setdefault(module.name, module)
        if taken is not module:
            say(f"{module.file}: left out, as {taken.file} is a module of that name, too")
    return [*modules.values()], release


def _named_kernel(words: Sequence[str]) -> LoaderKernel | None:
    """The kernel of -k; None without it."""
    return loader_kernel(resolve_one(words, Need.EITHER, environ=os.environ)) if words else None


def _kernel_of(release: str, say: Callable[[str], None]) -> LoaderKernel | None:
    """The kernel that the modules were built for; None where that is not to be had, which is told."""
    if not release:
        return None
    try:
        return loader_kernel(resolve_release(release, Need.EITHER))
    except KbuildError as error:
        say(f"{error.message}: what the kernel's own modules need is not shown")
        return None


def _check_names(graph: ModuleGraph, names: Sequence[str]) -> None:
    """Raise `UsageError` for a name that no module of `graph` has."""
    known = [node.name for node in graph.nodes]
    for name in names:
        if name not in known:
            raise UsageError(f"--around {name}: no module of that name", hint=did_you_mean(name, known))


def _say(text: str) -> None:
    print(f"kbuildpy: {printable(text)}", file=sys.stderr)
