# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy info`: everything that a module file tells."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from kbuildpy.cli.shared_options import add_format, add_kernels, add_quiet, add_verbose
from kbuildpy.errors import KbuildError, UsageError, unexpected
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.own_modules import OwnModules, modules_directory
from kbuildpy.kernel.resolve import resolve_one, resolve_release
from kbuildpy.printable import printable_error

if TYPE_CHECKING:
    from kbuildpy.info.fields import Field
    from kbuildpy.info.named import NamedModule
    from kbuildpy.info.report import ModuleInfo
    from kbuildpy.loader.kernel import LoaderKernel

EXAMPLES = (
    "kbuildpy info hello.ko",
    "kbuildpy info -F vermagic hello.ko",
    "kbuildpy info hello.ko -k 6.1.0-56-amd64 --format html",
    "kbuildpy info ext4 -k 6.12.117+deb12-amd64 -v",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy info`."""
    parser.epilog = (
        "Prints what modinfo prints, byte for byte, and then what else there is to know. Exit status: 0 done; 1 a file "
        "is no module or cannot be read; 2 the call was wrong."
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="FILE | DIR | NAME",
        help="modules, directories of them, or the names or aliases of modules that the kernel has",
    )
    parser.add_argument("-F", "--field", metavar="FIELD", help="print only the values of one field, as modinfo -F does")
    parser.add_argument(
        "-0", "--null", action="store_true", help="print only the fields, and end each with a NUL, as modinfo -0 does"
    )
    add_kernels(
        parser,
        "the kernel to look names up in, to lay the module out for and to look for its imports in: a kernel tree's "
        "path, an image's, or a release (default: the kernel that each module was built for; for names, KDIR of the "
        "environment, else the running kernel, else the newest one installed)",
    )
    add_verbose(parser, "print lists in full: sections, imports, devices, debug messages")
    add_quiet(parser, "leave out what modinfo prints")
    add_format(
        parser,
        "in words (default), one JSON object per line, a page, or a picture of the memory of one module",
        formats=("text", "json", "html", "svg"),
    )


def run(args: argparse.Namespace) -> int:
    """Print what is known of each module; 0 if each could be read."""
    if (args.field is not None or args.null) and args.format != "text":
        raise UsageError(f"-F and -0 print fields as modinfo does: no --format {args.format}")
    kernels = _Kernels(args)
    found: list[ModuleInfo] = []
    failed = False
    for word in args.words:
        if not word:
            raise UsageError("an empty name")
        try:
            from kbuildpy.info.named import named_modules

            for module in named_modules(word, lambda: kernels.own_modules):
                failed |= not _print_guarded(module, args, kernels, found)
        except UsageError as error:
            if len(args.words) == 1:
                raise
            _complain(error)
            failed = True
    _print_documents(found, args.format)
    return 1 if failed else 0


def _print_guarded(module: NamedModule, args: argparse.Namespace, kernels: _Kernels, found: list[ModuleInfo]) -> bool:
    """Print one module, or keep it in `found` for a document; whether that went well. The others go on."""
    try:
        if args.field is not None or args.null:
            _print_fields(module, args)
        else:
            _print_module(module, args, kernels, found)
    except OSError:  # (of standard output)
        raise
    except Exception as error:
        _complain(error if isinstance(error, KbuildError) else unexpected(module.shown, error))
        return False
    return True


def _print_fields(module: NamedModule, args: argparse.Namespace) -> None:
    from kbuildpy.info.fields_text import all_fields, one_field

    end = "\0" if args.null else "\n"
    if args.field is not None:
        fields = () if args.field == "filename" else _fields(module, args.field)
        _write(one_field(args.field, module.shown, fields, end=end))
    else:
        _write(all_fields(module.shown, _fields(module), end=end, built_in=module.built_in))


def _fields(module: NamedModule, wanted: str = "") -> tuple[Field, ...]:
    """The module's fields; those of the signature only where they may be `wanted`."""
    from kbuildpy.elf import ModuleImage
    from kbuildpy.info.fields import SIGNATURE_FIELDS, checked_fields, signature_fields
    from kbuildpy.kernel.module_files import read_module

    if module.path is None:
        return module.stated
    image = ModuleImage(read_module(module.path), module.shown)
    signed = not wanted or wanted in SIGNATURE_FIELDS
    return checked_fields(image) + (signature_fields(image.contents) if signed else ())


def _print_module(module: NamedModule, args: argparse.Namespace, kernels: _Kernels, found: list[ModuleInfo]) -> None:
    from kbuildpy.info.fields_text import all_fields
    from kbuildpy.info.report import inspect
    from kbuildpy.info.text import as_text, folded
    from kbuildpy.kernel.module_files import read_module
    from kbuildpy.kernel.stated import stated_release

    if module.path is None:
        _print_built_in(module, args.format)
        return
    contents = read_module(module.path)
    info = inspect(contents, module.shown, kernels.kernel_for(stated_release(contents)))
    if args.format == "json":
        from kbuildpy.info.as_json import to_json

        print(json.dumps(to_json(info)))
    elif args.format == "text":
        if not args.quiet:
            fields = all_fields(module.shown, info.fields)
            if sys.stdout.isatty():
                print(folded(fields, whole=args.verbose), end="")
            else:
                _write(fields)
        print(as_text(info, verbose=args.verbose), end="")
    else:
        found.append(info)


def _print_built_in(module: NamedModule, format: str) -> None:
    from kbuildpy.info.fields_text import all_fields

    if format == "json":
        fields = [list(field) for field in module.stated]
        print(json.dumps({"file": None, "name": module.built_in, "fields": fields}))
    elif format == "text":
        _write(all_fields(module.shown, module.stated, built_in=module.built_in))
    else:
        raise KbuildError(f"{module.built_in} is built into the kernel: there is no file to draw")


def _print_documents(found: list[ModuleInfo], format: str) -> None:
    if format == "svg" and len(found) > 1:
        raise UsageError("--format svg: one module at a time", hint="--format html takes several")
    if format == "svg" and found:
        from kbuildpy.info.picture import as_svg

        [info] = found
        if info.memory is None:
            why = dict(info.unknown).get("its memory", "")
            raise KbuildError(f"{info.file}: its memory is not known: {why}", hint="name another kernel with -k")
        print(as_svg(info.memory))
    elif format == "html" and found:
        from kbuildpy.info.page import as_page

        print(as_page(found))


def _write(text: str) -> None:
    """Print modinfo's bytes as they are; for a terminal, which would obey some of them, printable."""
    if sys.stdout.isatty():
        from kbuildpy.printable import printable

        print("\n".join(map(printable, text.split("\n"))), end="")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _complain(error: KbuildError) -> None:
    sys.stdout.flush()
    print(f"kbuildpy: error: {printable_error(error.message, error.hint)}", file=sys.stderr)


class _Kernels:
    """The kernels of one call, each opened once."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._words = args.kernels
        self._by_release: dict[str, LoaderKernel | None] = {}
        if self._words and args.field is None and not args.null:
            # (a wrong word is a wrong call, whatever the files are)
            _ = self._named

    @cached_property
    def own_modules(self) -> OwnModules:
        """The modules that names mean, those installed beside the kernel's own included. Raises `KbuildError`."""
        if len(self._words) == 1:
            word = self._words[0]
        else:
            # (the short way, where nothing names another kernel)
            is_named = self._words or os.environ.get("KDIR") or os.environ.get("KERNELRELEASE")
            word = "" if is_named else os.uname().release
        directory = modules_directory(word)
        own = None if directory is None else OwnModules(directory)
        if own is None:
            chosen = self._chosen
            directory = modules_directory(chosen.release) if chosen.release else None
            own = OwnModules(directory) if directory else self._open(chosen).own_modules
        if own is None:
            raise KbuildError(
                f"the modules of {self._chosen.release} are not installed",
                hint=f"install linux-image-{self._chosen.release}, or name a module file",
            )
        return replace(own, added=True)

    def kernel_for(self, built_for: str) -> LoaderKernel | None:
        """The kernel that was named, else the one that a module was built for; None where that is not to be had."""
        if self._words:
            return self._named
        if built_for not in self._by_release:
            self._by_release[built_for] = self._installed(built_for)
        return self._by_release[built_for]

    def _installed(self, release: str) -> LoaderKernel | None:
        try:
            return self._open(resolve_release(release, Need.EITHER)) if release else None
        except KbuildError:
            return None

    @cached_property
    def _named(self) -> LoaderKernel:
        return self._open(self._chosen)

    @cached_property
    def _chosen(self) -> ChosenKernel:
        return resolve_one(self._words, Need.EITHER, environ=os.environ)

    def _open(self, chosen: ChosenKernel) -> LoaderKernel:
        from kbuildpy.loader.kernels.from_chosen import loader_kernel

        return loader_kernel(chosen)
