# SPDX-License-Identifier: GPL-2.0-only
"""The formats by the words of the command line and of SConstructs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.loader.kernel import Exports
from kbuildpy.package.deb import DEB
from kbuildpy.package.format import PackageFormat
from kbuildpy.package.oci import oci
from kbuildpy.package.rpm import IsKernels, rpm
from kbuildpy.package.sysext import SysextWish, sysext
from kbuildpy.package.tarball import tarball

MODULE_FORMATS = ("deb", "rpm", "sysext", "oci", "tar")
"""The words for packages of modules."""


_OPTIONS = {
    "depends": ("deb", "rpm", "dkms-deb"),
    "copyright": ("deb", "dkms-deb"),
    "maintainer": ("deb", "rpm", "dkms-deb"),
    "compression": ("tar",),
    "weak": ("rpm",),
    "cp": ("oci",),
    **dict.fromkeys(("file_system", "os", "os_version", "level", "verity", "verity_key", "verity_cert"), ("sysext",)),
    **dict.fromkeys(("folder", "needs", "require_signature", "cert"), MODULE_FORMATS),
}
"""Options that not all formats have, and the formats that have them."""


def refuse_foreign_options(format: str, given: Iterable[str], spelt: Callable[[str], str]) -> None:
    """Raises `UsageError` for the first of the options that were `given` and that `format` does not have: left out
    silently, it would be a promise that nobody keeps. `spelt` writes an option as the user did."""
    for name in given:
        formats = _OPTIONS.get(name, (format,))
        if format not in formats:
            raise UsageError(f"{spelt(name)} is an option of {', '.join(formats)}, not of {format}")


@dataclass(frozen=True)
class FormatWish:
    """What a user says about a format; each part belongs to one of them."""

    compression: str = "zst"
    """Of a tarball."""
    weak: bool = False
    """An RPM package is for each kernel with the same interface."""
    sysext: SysextWish = field(default_factory=SysextWish)
    copier: Path | None = None
    """The program that becomes /bin/cp of an OCI image."""


def format_of(word: str, wish: FormatWish, exports: Exports | None) -> PackageFormat:
    """The format that `word` names, for a kernel with these `exports` (None: not known). Raises `UsageError` for a
    wish that makes no sense."""
    if word == "deb":
        return DEB
    if word == "rpm":
        return rpm(_asking(exports), weak=wish.weak)
    if word == "sysext":
        return sysext(wish.sysext)
    if word == "oci":
        return oci(wish.copier)
    if word == "tar":
        return tarball(wish.compression)
    raise UsageError(f"{word}: there is no such format", hint=f"formats are {', '.join(MODULE_FORMATS)}")


def _asking(exports: Exports | None) -> IsKernels:
    """(Where the exports are not known, a symbol is taken for the kernel's: nobody could provide it otherwise.)"""
    return lambda symbol: exports is None or exports.find(symbol) is not None
