# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy info`: everything that a module file tells."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from kbuildpy.cli.fields_output import write_fields
from kbuildpy.cli.shared_options import add_format, add_kernels, add_quiet, add_verbose
from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError, UsageError, unexpected
from kbuildpy.info.fields import SIGNATURE_FIELDS, Field, checked_fields, signature_fields
from kbuildpy.info.fields_text import all_fields, one_field
from kbuildpy.info.named import NamedModule, named_modules
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.module_files import read_module
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.kernel.resolve import resolve_one, resolve_release
from kbuildpy.printable import printable_error

if TYPE_CHECKING:
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
    print_module, print_documents = _printers(args, kernels)
    failed = False
    for word in args.words:
        if not word:
            raise UsageError("an empty name")
        try:
            for module in named_modules(word, lambda: kernels.own_modules):
                failed |= not _is_printed(module, print_module)
        except UsageError as error:
            if len(args.words) == 1:
                raise
            _complain(error)
            failed = True
    print_documents()
    return 1 if failed else 0


def _printers(args: argparse.Namespace, kernels: _Kernels) -> tuple[Callable[[NamedModule], None], Callable[[], None]]:
    """The functions that print one module, and a document of all of them, as `args` say."""
    if args.field is not None or args.null:
        return partial(_print_fields, args), lambda: None
    from kbuildpy.cli.info_reports import print_documents, print_module  # (slow: the loader)

    found: list[ModuleInfo] = []
    return partial(print_module, args, kernels.kernel_for, found), partial(print_documents, found, args.format)


def _is_printed(module: NamedModule, print_module: Callable[[NamedModule], None]) -> bool:
    """Print one module; whether that went well. The others go on."""
    try:
        print_module(module)
    except OSError:  # (of standard output)
        raise
    except Exception as error:
        _complain(error if isinstance(error, KbuildError) else unexpected(module.shown, error))
        return False
    return True


def _print_fields(args: argparse.Namespace, module: NamedModule) -> None:
    end = "\0" if args.null else "\n"
    if args.field is not None:
        fields = () if args.field == "filename" else _fields(module, args.field)
        write_fields(one_field(args.field, module.shown, fields, end=end))
    else:
        write_fields(all_fields(module.shown, _fields(module), end=end, built_in=module.built_in))


def _fields(module: NamedModule, wanted: str = "") -> tuple[Field, ...]:
    """The module's fields; those of the signature only where they may be `wanted`."""
    if module.path is None:
        return module.stated
    image = ModuleImage(read_module(module.path), module.shown)
    signed = not wanted or wanted in SIGNATURE_FIELDS
    return checked_fields(image) + (signature_fields(image.contents) if signed else ())


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
