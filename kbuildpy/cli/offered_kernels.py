# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy kernels --available`, `--fetch` and `--remove`: the kernels that apt offers, and those of them that were
fetched."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from kbuildpy.cli.kernels_table import print_table
from kbuildpy.cli.progress import with_work_bar
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.fetch import FetchedKernel, fetch_kernels, has_image, size_to_fetch
from kbuildpy.kernel.fetched import built_trees, fetched_trees
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.find_image import installed_kernel_image
from kbuildpy.kernel.offered import OfferedKernel, OfferedPackage, missing_besides, offered_kernels
from kbuildpy.kernel.remove_fetched import fetched_releases, remove_fetched
from kbuildpy.kernel_build.sources import remove_unneeded_sources
from kbuildpy.printable import printable
from kbuildpy.program_packages import install_command
from kbuildpy.similar import most_similar

_HEADINGS = ("RELEASE", "ARCH", "HEADERS", "IMAGE", "MB", "HERE")


def list_available(args: argparse.Namespace) -> int:
    """Print a line for each kernel that apt offers and that matches the pattern."""
    offered = _matching(offered_kernels(), [args.available])
    if args.quiet:
        print("\n".join(kernel.release for kernel in offered))
        return 0
    installed = {tree.release for tree in installed_trees().trees}
    fetched = {tree.release for tree in fetched_trees().trees}
    facts = [_facts(kernel, installed, fetched) for kernel in offered]
    if args.format == "json":
        print("\n".join(json.dumps(fact) for fact in facts))
    else:
        print_table([_HEADINGS, *map(_row, facts)])
    return 0


def fetch(args: argparse.Namespace) -> int:
    """Fetch the kernels that match one of the patterns; print a line for each on standard output, and on standard error
    what else has to be installed to build for them."""
    matching = _matching(offered_kernels(), args.fetch)
    wanted = [kernel for kernel in matching if kernel.headers]
    without = [kernel.release for kernel in matching if not kernel.headers]
    if not wanted:
        raise UsageError(
            f"apt has no headers of {', '.join(without)}, only the image",
            hint="modules cannot be built for it; `kbuildpy run -k RELEASE` takes the image by itself",
        )
    if without and not args.quiet:
        print(f"kbuildpy: skipped, apt has only the image: {', '.join(without)}", file=sys.stderr)
    jobs = os.cpu_count() or 1
    total = size_to_fetch(wanted, images=args.images)
    if total and not args.quiet:
        print(f"kbuildpy: fetching {_megabytes(total)} MB", file=sys.stderr)
    found = []
    # (each package is downloaded, and unpacked)
    with with_work_bar(2 * total, quiet=args.quiet) as (advance, say):
        for kernel in fetch_kernels(wanted, images=args.images, advance=advance, jobs=jobs):
            say(_fetched_line(kernel, args))
            found.append(kernel)
    _name_what_is_missing(wanted, found)
    return 0


def remove(args: argparse.Namespace) -> int:
    """Remove the fetched kernels that match one of the patterns, and print their releases."""
    releases = fetched_releases()
    for pattern in args.remove:
        if not any(fnmatchcase(release, pattern) for release in releases):
            raise UsageError(
                f"--remove {pattern}: no fetched kernel matches; fetched: {', '.join(releases) or 'none'}",
                hint="`kbuildpy kernels` marks the fetched kernels with f; installed ones are apt's to remove",
            )
    chosen = [release for release in releases if _matches(release, args.remove)]
    built = {tree.release for tree in built_trees().trees}
    remove_fetched(chosen)
    if built & {*chosen}:
        remove_unneeded_sources()
    for release in chosen:
        if args.format == "json":
            print(json.dumps({"release": release, "removed": True}))
        else:
            print(release if args.quiet else f"{printable(release)}: removed")
    return 0


def _matching(offered: Sequence[OfferedKernel], patterns: Sequence[str]) -> list[OfferedKernel]:
    """The kernels of which the release matches one of `patterns`. Raises `UsageError` for a pattern without any."""
    for pattern in patterns:
        if not any(fnmatchcase(kernel.release, pattern) for kernel in offered):
            releases = [kernel.release for kernel in offered]
            begins = pattern and any(release.startswith(pattern) for release in releases)
            near = f"'{pattern}*'" if begins else most_similar(pattern, releases)
            raise UsageError(
                f"{pattern or 'an empty pattern'}: apt offers no such kernel; of the {len(releases)} that it offers, "
                f"the oldest is {releases[0]}, the newest {releases[-1]}",
                hint=(f"did you mean {near}? " if near else "")
                + "`kbuildpy kernels --available` lists them all; apt-get update renews apt's lists",
            )
    return [kernel for kernel in offered if _matches(kernel.release, patterns)]


def _matches(release: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(release, pattern) for pattern in patterns)


def _facts(kernel: OfferedKernel, installed: set[str], fetched: set[str]) -> dict[str, object]:
    return {
        "release": kernel.release,
        "architecture": kernel.architecture,
        "headers": kernel.headers[-1].version if kernel.headers else None,
        "headers_packages": [package.name for package in kernel.headers],
        "headers_size": _size(kernel.headers),
        "image": kernel.image[-1].version if kernel.image else None,
        "image_packages": [package.name for package in kernel.image],
        "image_size": _size(kernel.image),
        "installed": kernel.release in installed,
        "image_installed": installed_kernel_image(kernel.release) is not None,
        "fetched": kernel.release in fetched,
        "image_fetched": has_image(kernel.release),
    }


def _row(fact: dict[str, object]) -> tuple[str, ...]:
    size = sum(value for name in ("headers_size", "image_size") if isinstance(value := fact[name], int))
    states = {
        "installed": "installed",
        "image_installed": "image installed",
        "fetched": "fetched",
        "image_fetched": "image fetched",
    }
    return (
        str(fact["release"]),
        str(fact["architecture"]),
        str(fact["headers"] or "none"),
        str(fact["image"] or "none"),
        _megabytes(size),
        ", ".join(words for name, words in states.items() if fact[name]),
    )


def _fetched_line(kernel: FetchedKernel, args: argparse.Namespace) -> str:
    if args.format == "json":
        compiler = compiler_of(kernel.tree, cross_compile=os.environ.get("CROSS_COMPILE", ""))
        fact = {
            "release": kernel.release,
            "path": str(kernel.tree.objects),
            "source": str(kernel.tree.source),
            "image": kernel.image,
            "downloaded": [package.name for package in kernel.packages],
            "size": _size(kernel.packages),
            "compiler": compiler.program,
            "compiler_installed": compiler.installed,
            "compiler_package": compiler.package,
            "missing": list(missing_parts(kernel.tree)),
        }
        return json.dumps(fact)
    if args.quiet:
        return kernel.release
    count = len(kernel.packages)
    what = f"fetched ({count} package{'s' if count > 1 else ''}, {_megabytes(_size(kernel.packages))} MB)"
    return f"{printable(kernel.release)}: {what if count else 'is here already'}"


def _name_what_is_missing(offered: Sequence[OfferedKernel], fetched: Sequence[FetchedKernel]) -> None:
    """Print the command that installs the compilers and libraries which are not there."""
    compilers = [compiler_of(kernel.tree, cross_compile=os.environ.get("CROSS_COMPILE", "")) for kernel in fetched]
    packages = [compiler.package for compiler in compilers if not compiler.installed]
    packages += missing_besides(package for kernel in offered for package in kernel.headers)
    if packages:
        command = install_command(sorted(packages))
        print(f"kbuildpy: to build for them, this is not installed: {command}", file=sys.stderr)
    for kernel in fetched:
        missing = missing_parts(kernel.tree)
        if missing:
            raise KbuildError(
                f"{kernel.release}: its headers packages lack {', '.join(missing)}",
                hint=f"modules cannot be built for it: kbuildpy kernels --remove {kernel.release}",
            )


def _size(packages: Iterable[OfferedPackage]) -> int:
    return sum(package.size for package in packages)


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f}"
