# SPDX-License-Identifier: GPL-2.0-only
"""The kernel image of a release: an installed one, or one out of a Debian package."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.debian import extract
from kbuildpy.kernel.find_image import INSTALLED_IMAGES, fetched_image, find_kernel_image
from kbuildpy.vm.machine import Machine


def fetch_kernel_image(release: str, *, machine: Machine | None = None) -> Path:
    """As `find_kernel_image()`, but one that is missing is taken out of Debian's package, once per user.

    `machine` is the one that it is for (default: this). Needs apt's package lists (`apt-get update`), no privilege.
    Raises `KbuildError` if there is no such package.
    """
    try:
        return find_kernel_image(release)
    except KbuildError:
        pass
    image = fetched_image(release)
    image.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".fetch-", dir=image.parent) as name:
        package = Path(name) / "package"
        extracted = _extract(release, package, machine.debian if machine and not machine.native else "")
        # Whole or not at all: another run, or one after an interruption, must not find half a kernel.
        extracted.replace(image)
    return image


def _extract(release: str, directory: Path, architecture: str) -> Path:
    """The image out of Debian's packages. From 7.0 on linux-image only brings in the package that has it."""
    _extract_either(f"linux-image-{release}", f"linux-image-{release}-unsigned", directory, architecture)
    image = _image_in(directory, release)
    if image is None:
        _extract_either(f"linux-binary-{release}", f"linux-binary-unsigned-{release}", directory, architecture)
        image = _image_in(directory, release)
    if image is None:
        raise KbuildError(f"Debian's packages of {release} have no kernel image")
    return image


def _extract_either(signed: str, unsigned: str, directory: Path, architecture: str) -> None:
    """Debian signs some kernels for Secure Boot; the others have packages called -unsigned."""
    try:
        extract(signed, directory, architecture=architecture)
    except KbuildError as error:
        try:
            extract(unsigned, directory, architecture=architecture)
        except KbuildError:
            raise error from None


def _image_in(directory: Path, release: str) -> Path | None:
    places = [directory / root / place.format(release=release) for root in ("", "usr") for place in INSTALLED_IMAGES]
    return next((place for place in places if place.is_file()), None)
