"""The kernel image of a release: an installed one, or one out of a Debian package."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.image import INSTALLED_IMAGES, fetched_image, find_kernel_image
from kbuildpy.vm.debian import extract
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
        # Whole or not at all: whoever looks meanwhile, or after an interruption, must not find half a kernel.
        extracted.replace(image)
    return image


def _extract(release: str, directory: Path, architecture: str) -> Path:
    """The image, out of the first package that has it.

    Debian signs some kernels for Secure Boot; the others have packages called -unsigned. From 7.0 on linux-image only
    brings in the package with the image.
    """
    problem = KbuildError(f"Debian's packages of {release} have no image of the kernel in them")
    for package in ("linux-image-{}", "linux-image-{}-unsigned", "linux-binary-{}", "linux-binary-unsigned-{}"):
        try:
            extract(package.format(release), directory, architecture=architecture)
        except KbuildError as error:
            if package == "linux-image-{}":
                problem = error
            continue
        for place in INSTALLED_IMAGES:
            for image in (directory / place.format(release=release), directory / "usr" / place.format(release=release)):
                if image.is_file():
                    return image
    raise problem
