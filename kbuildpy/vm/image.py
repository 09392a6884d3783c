"""The kernel image of a release: an installed one, or one out of a Debian package."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.image import fetched_image, find_kernel_image
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
        _extract(release, package, machine.debian if machine and not machine.native else "")
        # Whole or not at all: whoever looks meanwhile, or after an interruption, must not find half a kernel.
        (package / f"boot/{image.name}").replace(image)
    return image


def _extract(release: str, directory: Path, architecture: str) -> None:
    """Debian signs some kernels for Secure Boot; the others have packages called -unsigned."""
    try:
        extract(f"linux-image-{release}", directory, architecture=architecture)
    except KbuildError as error:
        try:
            extract(f"linux-image-{release}-unsigned", directory, architecture=architecture)
        except KbuildError:
            raise error from None
