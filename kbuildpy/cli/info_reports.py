# SPDX-License-Identifier: GPL-2.0-only
"""Reports of `kbuildpy info` on modules, in each format. Apart from `info`: printing fields needs no loader."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from kbuildpy.cli.fields_output import write_fields
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.info.as_json import to_json
from kbuildpy.info.fields_text import all_fields
from kbuildpy.info.named import NamedModule
from kbuildpy.info.page import as_page
from kbuildpy.info.picture import as_svg
from kbuildpy.info.report import ModuleInfo, inspect
from kbuildpy.info.text import as_text, folded
from kbuildpy.kernel.module_files import read_module
from kbuildpy.kernel.stated import stated_release
from kbuildpy.loader.kernel import LoaderKernel


def print_module(
    args: argparse.Namespace,
    kernel_for: Callable[[str], LoaderKernel | None],
    found: list[ModuleInfo],
    module: NamedModule,
) -> None:
    """Print one module, or keep it in `found` for a document. `kernel_for` finds the kernel that it was built for."""
    if module.path is None:
        _print_built_in(module, args.format)
        return
    contents = read_module(module.path)
    info = inspect(contents, module.shown, kernel_for(stated_release(contents)))
    if args.format == "json":
        print(json.dumps(to_json(info)))
    elif args.format == "text":
        if not args.quiet:
            fields = all_fields(module.shown, info.fields)
            if sys.stdout.isatty():
                print(folded(fields, whole=args.verbose), end="")
            else:
                write_fields(fields)
        print(as_text(info, verbose=args.verbose), end="")
    else:
        found.append(info)


def _print_built_in(module: NamedModule, format: str) -> None:
    if format == "json":
        fields = [list(field) for field in module.stated]
        print(json.dumps({"file": None, "name": module.built_in, "fields": fields}))
    elif format == "text":
        write_fields(all_fields(module.shown, module.stated, built_in=module.built_in))
    else:
        raise KbuildError(f"{module.built_in} is built into the kernel: there is no file to draw")


def print_documents(found: list[ModuleInfo], format: str) -> None:
    """Print the document of all modules, where `format` is one."""
    if format == "svg" and len(found) > 1:
        raise UsageError("--format svg: one module at a time", hint="--format html takes several")
    if format == "svg" and found:
        [info] = found
        if info.memory is None:
            why = dict(info.unknown).get("its memory", "")
            raise KbuildError(f"{info.file}: its memory is not known: {why}", hint="name another kernel with -k")
        print(as_svg(info.memory))
    elif format == "html" and found:
        print(as_page(found))
