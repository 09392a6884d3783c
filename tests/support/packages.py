# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages by name: downloaded through the machine's own apt, unpacked into the user's cache."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.debian import extract
from kbuildpy.kernel.module_facts import ModuleFacts
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run

# The archive that has a kernel line which the machine's own release has no more, or not yet.
NEWEST = "7.3"
"""The newest kernel line that is tested with; its packages are unpacked, also on a Debian that has none of it."""
ONLY_IMAGES = ("6.16", "6.17", "6.18", "7.2")
"""Kernel lines that are tested with by their images and modules: an archive has no headers of most of them."""
SUITES = {"5.10": "bullseye-security", NEWEST: "trixie-backports", "6.12-riscv64": "trixie"}
SUITES |= dict.fromkeys(ONLY_IMAGES, "trixie-backports")
# Beside a newer kernel's headers: this machine's compiler, which does not know all options of the kernel's own.
OLDER_COMPILER = "usr/bin/older-compiler"
_OLDER_COMPILER = """#!/bin/sh
for word; do
    shift
    case $word in
    -fmin-function-alignment=*) set -- "$@" "-falign-functions=${{word#*=}}" ;;
    *) set -- "$@" "$word" ;;
    esac
done
exec {compiler} "$@"
"""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def one_at_a_time(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let only one process at a time download and unpack; the others find what it has left."""

    @functools.wraps(function)
    def alone(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        place = cache_directory() / "packages"
        place.mkdir(parents=True, exist_ok=True)
        with (place / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return function(*args, **kwargs)

    return alone


@one_at_a_time
def unpacked(package: str) -> Path:
    """The directory that `package` is unpacked in; nothing is installed."""
    place = cache_directory() / "packages" / package
    if not place.is_dir():
        _unpack([package], place)
    return place


@one_at_a_time
def unpacked_together(name: str, packages: Sequence[str], *, line: str = "") -> Path:
    """The directory `name` in the cache that `packages` (NAME or NAME=VERSION) are unpacked in; with `line`, those of
    the archive that has this kernel line."""
    place = cache_directory() / "packages" / name
    if not place.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            _unpack(packages, place, options=_archive_options(line, Path(scratch)))
    return place


@one_at_a_time
def unpacked_kernel(release: str) -> Path:
    """The directory that the image, the configuration and the modules of kernel `release` are unpacked in.

    They are in one package, or, from 7.2 on, in three.
    """
    place = cache_directory() / "packages" / f"linux-image-{release}"
    if not place.is_dir():
        try:
            _unpack([f"linux-{part}-{release}" for part in ("base", "binary", "modules")], place)
        except CommandError:
            _unpack([f"linux-image-{release}"], place)
    return place


@one_at_a_time
def unpacked_for_arm64(package: str) -> Path:
    """The directory that `package` of Debian's arm64 is unpacked in, whole."""
    place = cache_directory() / "packages" / package
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            extract(package, Path(scratch, "root"), architecture="arm64")
            shutil.move(f"{scratch}/root", place)
    return place


@one_at_a_time
def archived_tree(line: str) -> KernelTree:
    """The kernel tree of a line (`5.10`) that only an older Debian has, for amd64.

    Raises `KbuildError` where that Debian's archive cannot be reached.
    """
    place = cache_directory() / "packages" / f"linux-headers-{line}"
    if not place.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            options = _archive_options(line, Path(scratch))
            names = run(["apt-cache", *options, "pkgnames", f"linux-headers-{line}."]).text.split()
            found = (re.fullmatch(rf"(linux-headers-{re.escape(line)}\.\d+-(\d+))-amd64", name) for name in names)
            releases = sorted((int(match[2]), match[1]) for match in found if match)
            if not releases:
                raise KbuildError(f"{SUITES[line]} has no headers of {line}")
            newest = releases[-1][1]
            packages = [f"{newest}-amd64", f"{newest}-common", f"linux-kbuild-{line}"]
            _unpack(packages, place, options=options, redirect=True)
    return open_tree(next(place.glob("usr/src/linux-headers-*-amd64")))


def newer_kernel() -> tuple[KernelTree, Path]:
    """The tree of the newest kernel line that is tested with, and where its image and modules are unpacked as in a
    system's root. Its compiler need not be here (`other_compiler()`). Where its archive is out of reach the test is
    skipped."""
    try:
        return _archived_kernel(NEWEST)
    except KbuildError as error:
        pytest.skip(f"no kernel {NEWEST} to be had: {error}")


@one_at_a_time
def _archived_kernel(line: str) -> tuple[KernelTree, Path]:
    """A kernel line for amd64 that only a later Debian has: headers, image and modules side by side."""
    place = cache_directory() / "packages" / f"linux-{line}-whole"
    if not place.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            options = _archive_options(line, Path(scratch))
            names = run(["apt-cache", *options, "pkgnames", f"linux-modules-{line}."]).text.split()
            found = (re.fullmatch(rf"linux-modules-({re.escape(line)}\.(\d+)\+deb\d+)-amd64", name) for name in names)
            releases = sorted((int(match[2]), match[1]) for match in found if match)
            if not releases:
                raise KbuildError(f"{SUITES[line]} has no modules of {line}")
            newest = releases[-1][1]
            parts = ("base", "binary", "modules", "headers")
            packages = [*(f"linux-{part}-{newest}-amd64" for part in parts), f"linux-headers-{newest}-common"]
            _unpack([*packages, f"linux-kbuild-{newest}", "libc6"], place, options=options, redirect=True)
    return open_tree(next(place.glob("usr/src/linux-headers-*-amd64"))), place


@one_at_a_time
def archived_image(line: str) -> tuple[str, Path]:
    """The newest release of a kernel line of `ONLY_IMAGES`, and where its image, configuration and modules are unpacked
    as in a system's root.

    Raises `KbuildError` where its archive is out of reach, or has no such kernel.
    """
    place = cache_directory() / "packages" / f"linux-{line}-image"
    if not place.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            options = _archive_options(line, Path(scratch))
            names = run(["apt-cache", *options, "pkgnames", "linux-"]).text.split()
            for parts in (("base", "binary", "modules"), ("image",)):  # (modules are packages of their own from 7.2 on)
                pattern = rf"linux-{parts[-1]}-({re.escape(line)}\.(\d+)\+deb\d+-amd64)"
                found = (re.fullmatch(pattern, name) for name in names)
                releases = sorted((int(match[2]), match[1]) for match in found if match)
                if releases:
                    break
            else:
                raise KbuildError(f"{SUITES[line]} has no image of {line}")
            _unpack([f"linux-{part}-{releases[-1][1]}" for part in parts], place, options=options)
    return next(place.glob("usr/lib/modules/*")).name, place


@one_at_a_time
def archived_foreign_kernel(line: str) -> tuple[KernelTree, Path]:
    """A kernel line of `SUITES` for another machine (`6.12-riscv64`) as `newer_kernel()` has it: headers, image and
    modules side by side, and Kbuild's programs for this one.

    Raises `KbuildError` where its archive is out of reach, or has no such kernel.
    """
    number, architecture = line.split("-")
    place = cache_directory() / "packages" / f"linux-{line}-whole"
    if not place.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            options = _archive_options(line, Path(scratch), foreign=architecture)
            names = run(["apt-cache", *options, "pkgnames", f"linux-headers-{number}."]).text.split()
            pattern = rf"linux-headers-({re.escape(number)}\.(\d+)\+deb\d+)-{architecture}(?::{architecture})?"
            found = (re.fullmatch(pattern, name) for name in names)
            releases = sorted((int(match[2]), match[1]) for match in found if match)
            if not releases:
                raise KbuildError(f"{SUITES[line]} has no headers of {number} for {architecture}")
            newest = releases[-1][1]
            packages = [f"linux-{part}-{newest}-{architecture}:{architecture}" for part in ("headers", "image")]
            packages += [f"linux-headers-{newest}-common", f"linux-kbuild-{newest}", "libc6"]
            _unpack(packages, place, options=options, redirect=True, compiler=f"{architecture}-linux-gnu-gcc")
    return open_tree(next(place.glob(f"usr/src/linux-headers-*-{architecture}"))), place


def early_tree() -> KernelTree:
    """The kernel tree of 5.10, the oldest line there is; without its headers the test is skipped."""
    try:
        return archived_tree("5.10")
    except KbuildError as error:
        pytest.skip(f"no headers of 5.10 to be had: {error}")


def other_compiler(tree: KernelTree) -> list[str]:
    """The make variables for a tree whose own compiler is not installed."""
    if compiler_of(tree).installed:
        return []
    script = tree.objects.parents[2] / OLDER_COMPILER
    # (pahole is as old as the compiler)
    return [f"CC={script}", "CONFIG_DEBUG_INFO_BTF_MODULES="] if script.is_file() else ["CC=gcc"]


def asking(tree: KernelTree) -> Callable[[KernelTree], ModuleFacts]:
    """What asks `tree` for its vermagic and its struct module, with a compiler that is installed."""
    variables = dict(word.split("=") for word in other_compiler(tree))
    return functools.partial(ask_module_facts, variables=variables, environ=os.environ)


def _unpack(
    packages: Sequence[str],
    place: Path,
    *,
    options: Sequence[str] = (),
    redirect: bool = False,
    compiler: str = "gcc",
) -> None:
    """Unpack `packages` in `place`, all or nothing; `redirect` makes their kernel makefiles name each other there, and
    puts `compiler` beside them as the older one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        # apt downloads as a user of its own, who must be able to write here.
        Path(scratch).chmod(0o777)
        run(["apt-get", *options, "download", "-q", *packages], cwd=scratch, timeout=600)
        for archive in Path(scratch).glob("*.deb"):
            run(["dpkg-deb", "-x", archive, f"{scratch}/root"])
        for makefile in Path(scratch).glob("root/usr/src/linux-headers-*/Makefile") if redirect else ():
            text = makefile.read_text()
            makefile.write_text(text.replace("/usr/src/", f"{place}/usr/src/"))
        if redirect:
            _with_own_library(Path(scratch, "root"), place, compiler)
        shutil.move(f"{scratch}/root", place)


def _with_own_library(root: Path, place: Path, older: str) -> None:
    """Have the programs in `root` (which moves to `place`) that this machine's C library is too old for run with the
    one that was unpacked with them."""
    for loader in root.glob("usr/lib/*/ld-linux-*.so.*"):
        library = place / loader.parent.relative_to(root)
        for program in list(filter(_is_too_new, root.glob("usr/lib/linux-kbuild-*/**/*"))):
            moved = program.rename(program.with_name(f".{program.name}"))
            there = place / moved.relative_to(root)
            program.write_text(f'#!/bin/sh\nexec {library / loader.name} --library-path {library} {there} "$@"\n')
            program.chmod(0o755)
        compiler = root / OLDER_COMPILER
        compiler.parent.mkdir(parents=True, exist_ok=True)
        compiler.write_text(_OLDER_COMPILER.format(compiler=older))
        compiler.chmod(0o755)


def _is_too_new(file: Path) -> bool:
    """Whether `file` is a program that needs a newer C library than this machine has."""
    if not file.is_file() or file.is_symlink() or not os.access(file, os.X_OK):
        return False
    with file.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return False
    said = run(["ldd", file], check=False)
    return b"not found" in said.stdout + said.stderr


def _archive_options(line: str, state: Path, *, foreign: str = "") -> list[str]:
    """apt's options for the packages of a kernel line: none, or for an older suite from where this machine has the
    like, whose lists go to `state`. `foreign` is another machine whose packages are wanted, too.

    Raises `CommandError` on a machine that has no such archive.
    """
    if line not in SUITES:
        return []
    suite = SUITES[line]
    kind = "Debian-Security" if suite.endswith("-security") else "Debian"
    targets = ["--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", f"Label: {kind}"]
    archive = next(iter(run(["apt-get", "indextargets", *targets]).text.split()), "")
    if not archive:
        raise CommandError(f"this machine's apt knows no archive of {kind}")
    state.chmod(0o755)
    (state / "lists/partial").mkdir(parents=True)
    (state / "cache/archives/partial").mkdir(parents=True)
    signed = f"signed-by={KEYRING} " if KEYRING.exists() else ""
    suites = dict.fromkeys([suite.removesuffix("-backports"), suite])
    machines = ",".join(filter(None, ("amd64", foreign)))
    (state / "sources.list").write_text(
        "".join(f"deb [{signed}arch={machines}] {archive} {name} main\n" for name in suites)
    )
    settings = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "APT::Get::List-Cleanup": "0",
    }
    if foreign:
        settings |= {"APT::Architecture": "amd64", "APT::Architectures": machines}
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run(["apt-get", *options, "update", "-q"], timeout=300)
    return options


@one_at_a_time
def kernel_source(version: str) -> Path:
    """The sources of a kernel line (`6.1`), from Debian's linux-source package: drivers/usb/serial and net of them."""
    package = cache_directory() / "packages" / f"linux-source-{version}"
    tree = package / f"linux-source-{version}"
    if not (tree / "net/bridge").is_dir():
        archive = _source_archive(version)
        with tempfile.TemporaryDirectory(dir=package) as scratch:
            names = [f"linux-source-{version}/{name}" for name in ("drivers/usb/serial", "net")]
            run(["tar", "-C", scratch, "-xf", archive, *names], timeout=600)
            shutil.rmtree(tree, ignore_errors=True)
            shutil.move(f"{scratch}/linux-source-{version}", tree)
    return tree


REVIEWERS_FILES = (
    *("scripts/checkpatch.pl", "scripts/spelling.txt", "scripts/const_structs.checkpatch"),
    *("tools/testing/kunit", "drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c"),
)
"""What tests need of the sources of 6.12 and 6.1, by one name: taking it out of the archive takes a while."""


@one_at_a_time
def source_files(version: str, *names: str) -> Path:
    """The directory in which `names` (files or folders) of the sources of a kernel line are unpacked."""
    archive = _source_archive(version)
    place = archive.parents[2] / "files"
    missing = [name for name in names if not (place / name).exists()]
    if missing:
        with tempfile.TemporaryDirectory(dir=archive.parents[2]) as scratch:
            top = f"linux-source-{version}"
            run(["tar", "-C", scratch, "-xf", archive, *(f"{top}/{name}" for name in missing)], timeout=600)
            for name in missing:
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(f"{scratch}/{top}/{name}", place / name)
    return place


@one_at_a_time
def source_archive(version: str) -> Path:
    """The archive in Debian's linux-source package of a kernel line; all in it is below `linux-source-VERSION`."""
    return _source_archive(version)


def _source_archive(version: str) -> Path:
    package = cache_directory() / "packages" / f"linux-source-{version}"
    if not package.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            _unpack([package.name], package, options=_archive_options(version, Path(scratch)))
    return package / f"usr/src/linux-source-{version}.tar.xz"
