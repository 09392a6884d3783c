"""The kernel image of a release: an installed one, or one out of a Debian package.

A package is unpacked, not installed: installing would run the hooks that make an initramfs and a boot menu.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.run import run

# Debian and most others; then where Fedora and Arch keep it.
_INSTALLED = ("boot/vmlinuz-{release}", "lib/modules/{release}/vmlinuz")


def find_kernel_image(release: str, *, root: Path = Path("/")) -> Path:
    """The kernel image of `release` on this machine, installed or fetched earlier.

    Raises `KbuildError` if there is none that we may read.
    """
    candidates = [root / place.format(release=release) for place in _INSTALLED]
    candidates.append(_fetched(release))
    for image in candidates:
        if image.is_file() and os.access(image, os.R_OK):
            return image
    raise KbuildError(f"there is no image of kernel {release} here", hint=f"apt-get install linux-image-{release}")


def fetch_kernel_image(release: str) -> Path:
    """As `find_kernel_image()`, but one that is missing is taken out of Debian's package, once per user.

    Needs apt's package lists (`apt-get update`), no privilege. Raises `KbuildError` if there is no such package.
    """
    try:
        return find_kernel_image(release)
    except KbuildError:
        pass
    image = _fetched(release)
    image.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".fetch-", dir=image.parent) as name:
        directory = Path(name)
        run(["dpkg-deb", "--extract", _download(release, directory), directory / "package"])
        # Whole or not at all: whoever looks meanwhile, or after an interruption, must not find half a kernel.
        (directory / f"package/boot/{image.name}").replace(image)
    return image


def _fetched(release: str) -> Path:
    return cache_directory() / "images" / f"vmlinuz-{release}"


def _download(release: str, directory: Path) -> Path:
    """Debian signs some kernels for Secure Boot; the others have packages called -unsigned."""
    errors = []
    for package in (f"linux-image-{release}", f"linux-image-{release}-unsigned"):
        try:
            run(["apt-get", "download", "-q", package], cwd=directory)
        except CommandError as error:
            errors.append(error)
            continue
        return next(directory.glob("*.deb"))
    raise KbuildError(
        f"cannot download linux-image-{release}: {errors[0].stderr.strip()}",
        hint="Run apt-get update. If the package is gone, a newer kernel replaced it: upgrade the headers too.",
    )
