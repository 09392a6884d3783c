# SPDX-License-Identifier: GPL-2.0-only
"""Where DKMS keeps what, and kbuildpy beside it: paths below /var/lib/dkms, /usr/src and /lib/modules.

What is ours alone is in `/var/lib/dkms/.kbuildpy` and `/lib/modules/.kbuildpy`: DKMS looks at no name with a dot.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.say import complain

_KERNEL = re.compile(r"\d[\w.+~:-]*", re.ASCII)
_ARCH = re.compile(r"[\w-]+", re.ASCII)
_SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")


@dataclass(frozen=True)
class DkmsPlaces:
    """The three trees of DKMS, and its settings."""

    dkms_tree: Path = Path("/var/lib/dkms")
    source_tree: Path = Path("/usr/src")
    install_tree: Path = Path("/lib/modules")
    etc: Path = Path("/etc/dkms")

    def package(self, name: str, version: str) -> Path:
        """All about a package."""
        return self.dkms_tree / name / version

    def source(self, name: str, version: str) -> Path:
        """A link to its sources, or a folder of them."""
        return self.package(name, version) / "source"

    def conf(self, name: str, version: str) -> Path:
        """Its dkms.conf."""
        return self.source(name, version) / "dkms.conf"

    def build(self, name: str, version: str) -> Path:
        """The copy of its sources that is built, while it is."""
        return self.package(name, version) / "build"

    def built(self, name: str, version: str, kernel: str, arch: str) -> Path:
        """What was built for a kernel: `module/` and `log/`."""
        return self.package(name, version) / kernel / arch

    def active(self, name: str, kernel: str, arch: str) -> Path:
        """The link to what is installed for a kernel."""
        return self.dkms_tree / name / f"kernel-{kernel}-{arch}"

    def originals(self, name: str, kernel: str, arch: str) -> Path:
        """Modules that the package's have replaced in a kernel."""
        return self.dkms_tree / name / "original_module" / kernel / arch

    @property
    def state(self) -> Path:
        """What is kbuildpy's own."""
        return self.dkms_tree / ".kbuildpy"

    def failed(self, name: str, version: str, kernel: str, arch: str) -> Path:
        """The folder about the last build, if it failed: `make.log`, `reason`."""
        return self.state / "failed" / name / version / kernel / arch

    def trial(self, name: str, version: str, kernel: str, arch: str) -> Path:
        """The note of the built modules that ran in QEMU."""
        return self.state / "tried" / name / version / kernel / arch

    def replaced(self, name: str, kernel: str, arch: str) -> Path:
        """The note of installed modules whose built files were replaced."""
        return self.state / "replaced" / name / kernel / arch

    def added(self, name: str = "", version: str = "") -> list[tuple[str, str]]:
        """The packages that were added, of that name and version ("" for any), sorted."""
        found = []
        for package in _folders(self.dkms_tree):
            for folder in _folders(package) if not name or package.name == name else ():
                source = folder / "source"
                if (not version or folder.name == version) and (source.is_symlink() or source.is_dir()):
                    found.append((package.name, folder.name))
        return found

    def kernels(self, name: str, version: str) -> list[tuple[str, str]]:
        """The kernels and architectures that the package was built for, sorted."""
        kernels = [folder for folder in _folders(self.package(name, version)) if _KERNEL.fullmatch(folder.name)]
        return [(kernel.name, arch.name) for kernel in kernels for arch in _folders(kernel)]

    def is_installed(self, name: str, version: str, kernel: str, arch: str) -> bool:
        """Whether it is what is installed for a kernel, by DKMS' link."""
        link = self.active(name, kernel, arch)
        built = self.built(name, version, kernel, arch)
        return link.is_symlink() and os.path.realpath(link) == os.path.realpath(built)


@contextmanager
def locked(places: DkmsPlaces) -> Iterator[None]:
    """Let one process at a time change the trees; another one waits. Raises `KbuildError` where they cannot be
    written."""
    path = places.state / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise KbuildError(
            f"{places.dkms_tree}: {error.strerror}", hint="become root, or name another tree: --dkmstree DIR"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            complain(f"kbuildpy: another process works in {places.dkms_tree}: waiting for its end")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def module_file(directory: Path, name: str) -> Path | None:
    """The file of the module `name` in a directory, plain or compressed."""
    return next((path for suffix in _SUFFIXES if (path := directory / f"{name}{suffix}").is_file()), None)


def check_kernel(kernel: str, arch: str) -> None:
    """Refuse words that are no names of a release and an architecture: they become parts of paths. Raises
    `KbuildError`."""
    for word, pattern, what in ((kernel, _KERNEL, "release of a kernel"), (arch, _ARCH, "architecture")):
        if not pattern.fullmatch(word):
            raise KbuildError(f"{word!r}: not the {what}", hint="for example 6.1.0-56-amd64, x86_64", status=2)


def _folders(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith(".") and path.is_dir())
    except OSError:
        return []
