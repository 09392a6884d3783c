# SPDX-License-Identifier: GPL-2.0-only
"""Gets a kernel's own modules, for what a module under test depends on.

A kernel that is not installed has its modules in a Debian package, which is unpacked once per user; depmod then runs
over them.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.debian import extract
from kbuildpy.kernel.fetched import fetched_root
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.kernel.packages import image_hint
from kbuildpy.run import run, with_sbin
from kbuildpy.vm.machine import Machine


def fetch_kernel_modules(release: str, *, machine: Machine | None = None, root: Path = Path("/")) -> OwnModules:
    """The modules of kernel `release`: installed or fetched ones, else those of Debian's package.

    `machine` is the one that the kernel is for (default: this). Raises `KbuildError` if there is no such package, or no
    depmod to index what was in it.
    """
    places = (root / "lib/modules", root / "usr/lib/modules", fetched_root() / "lib/modules")
    indexed = [place / release for place in places if (place / release / "modules.dep").is_file()]
    # (where only headers are installed, depmod makes an index of what was added there)
    whole = [directory for directory in indexed if (directory / "kernel").is_dir()]
    if whole:
        return OwnModules(whole[0], added=True)
    try:
        return OwnModules(_modules_of_package(release, machine), added=True)
    except KbuildError:
        if indexed:
            return OwnModules(indexed[0], added=True)
        raise


def _modules_of_package(release: str, machine: Machine | None) -> Path:
    """The directory of the modules of Debian's package, in the cache."""
    kept = cache_directory() / "modules"
    if not (kept / release / "modules.dep").is_file():
        kept.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".fetch-", dir=kept) as name:
            package = Path(name)
            _extract(release, package, machine.debian if machine and not machine.native else "")
            run(["depmod", "-b", package, release], env=with_sbin(os.environ))
            try:
                (package / "lib/modules" / release).rename(kept / release)
            except OSError:
                # (another run was quicker)
                if not (kept / release / "modules.dep").is_file():
                    raise
    return kept / release


def _extract(release: str, directory: Path, architecture: str) -> None:
    """Put lib/modules/RELEASE below `directory`. Newer kernels have their modules in a package of their own."""
    missing = None
    for package in (f"linux-modules-{release}", f"linux-image-{release}", f"linux-image-{release}-unsigned"):
        try:
            extract(package, directory, architecture=architecture)
        except KbuildError as error:
            missing = missing or error
            continue
        merged = directory / "usr/lib/modules" / release
        if merged.is_dir():
            (directory / "lib/modules").mkdir(parents=True, exist_ok=True)
            merged.rename(directory / "lib/modules" / release)
        if (directory / "lib/modules" / release / "kernel").is_dir():
            return
    raise KbuildError(
        f"the modules of kernel {release} are neither installed nor in a package",
        hint=image_hint(release) if missing else "",
    )
