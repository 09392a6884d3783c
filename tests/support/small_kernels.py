# SPDX-License-Identifier: GPL-2.0-only
"""Small kernels that have what Debian's lack, KUnit above all, built here out of Debian's sources.

Such a kernel has little more than modules, programs in a guest, and the tests of either need (`small_kernel.config`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.packages import one_at_a_time, source_archive

CONFIGURATION = Path(__file__).with_name("small_kernel.config")
NEEDED = {"bc": "bc", "bison": "bison", "flex": "flex", "gcc": "gcc", "make": "make", "xz": "xz-utils"}
"""The programs that build a kernel, and Debian's packages that have them."""
_ELF_HEADER = Path("/usr/include/gelf.h")
# What external modules are built with (scripts/package/install-extmod-build lists it, too), and the image.
_KEPT = (
    *(".config", "Makefile", "Module.symvers", "System.map", "include", "scripts", "tools/objtool/objtool"),
    *("arch/x86/Makefile*", "arch/x86/boot/bzImage", "arch/x86/include"),
)


def small_kernel(line: str) -> KernelTree:
    """The tree of a small x86-64 kernel of `line` (`6.1`): modules can be built against it, and it has its image.

    It is built when it is asked for first, which takes minutes, and again when its configuration has changed. Where
    what builds it is missing the test is skipped.
    """
    place = cache_directory() / "packages" / f"linux-small-{line}"
    if not _is_current(place):
        if missing := _missing_packages():
            pytest.skip(f"a kernel cannot be built without {' '.join(missing)}")
        _build(source_archive(line), place)
    return open_tree(place)


def settings_lost(tree: KernelTree) -> list[str]:
    """What the configuration asks for and the kernel `tree` does not have."""
    return _lost(tree.objects)


@one_at_a_time
def _build(archive: Path, place: Path) -> None:
    """Build the kernel whose sources are in `archive`, and leave in `place` what is needed of it, all or nothing.

    Its own modules go where `kbuildpy.vm.in_tree` looks for those of Debian's packages.
    """
    if _is_current(place):
        return
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        source = Path(scratch, "source")
        source.mkdir()
        run(["tar", "-C", source, "--strip-components=1", "-xf", archive], timeout=600)
        _make(source, "allnoconfig", f"KCONFIG_ALLCONFIG={CONFIGURATION}")
        if lost := _lost(source):
            raise KbuildError(f"the kernel of {archive.name} cannot have all: {', '.join(lost)}")
        # (nobody would read what the compiler warns of)
        _make(source, "bzImage", "modules", "KCFLAGS=-w")
        _make(source, "modules_install", f"INSTALL_MOD_PATH={scratch}")
        _keep_modules(Path(scratch, "lib/modules"))
        kept = Path(scratch, "kept")
        _move(source, kept, _KEPT)
        shutil.copyfile(CONFIGURATION, kept / CONFIGURATION.name)
        shutil.rmtree(place, ignore_errors=True)
        kept.rename(place)


def _make(source: Path, *words: str) -> None:
    """Call the kernel's make, and let nothing reach it that this process was told (by another make, for one)."""
    jobs = len(os.sched_getaffinity(0))
    run(["make", "-s", "-C", source, f"-j{jobs}", *words], env={"PATH": os.environ["PATH"]}, timeout=3600)


def _keep_modules(installed: Path) -> None:
    """Take the modules of the one kernel in `installed`, with depmod's indexes, into the cache."""
    (modules,) = installed.iterdir()
    for link in ("build", "source"):
        (modules / link).unlink(missing_ok=True)
    if not (modules / "modules.dep").is_file():
        run(["depmod", "-b", installed.parents[1], modules.name], env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
    there = cache_directory() / "modules" / modules.name
    shutil.rmtree(there, ignore_errors=True)
    there.parent.mkdir(parents=True, exist_ok=True)
    modules.rename(there)


def _move(source: Path, kept: Path, patterns: Iterable[str]) -> None:
    """Take what matches `patterns` out of `source`, to the same places below `kept`."""
    for path in [path for pattern in patterns for path in source.glob(pattern)]:
        there = kept / path.relative_to(source)
        there.parent.mkdir(parents=True, exist_ok=True)
        path.rename(there)


def _is_current(place: Path) -> bool:
    """Whether a kernel is in `place` that was built with the configuration as it is now."""
    built_with = place / CONFIGURATION.name
    return built_with.is_file() and built_with.read_bytes() == CONFIGURATION.read_bytes()


def _lost(objects: Path) -> list[str]:
    """The lines of the configuration that are not in that of `objects`."""
    wanted = [text for text in CONFIGURATION.read_text().splitlines() if text.startswith("CONFIG_")]
    there = set((objects / ".config").read_text().splitlines())
    return [text for text in wanted if text not in there]


def _missing_packages() -> list[str]:
    """Debian's packages that have what is missing here to build a kernel."""
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    return [*missing, *([] if _ELF_HEADER.is_file() else ["libelf-dev"])]
