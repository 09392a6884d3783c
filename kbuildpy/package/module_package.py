# SPDX-License-Identifier: GPL-2.0-only
"""A package of modules as a value: what it is called, and which file goes where, in each format alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from kbuildpy.info.report import ModuleInfo
from kbuildpy.kernel.architecture import KnownArchitecture
from kbuildpy.package.machine_names import MachineNames, names_of

UPDATES = "updates"
"""Where modules go that are not the kernel's: depmod prefers what is there to the kernel's own (depmod.d(5))."""


@dataclass(frozen=True)
class PackagedModule:
    """A module in a package."""

    source: Path
    """The file that it was taken from."""
    place: str
    """Its path below lib/modules/RELEASE, such as `updates/hello.ko`."""
    contents: bytes = field(repr=False)
    """The bytes of the file, as they are packed: perhaps compressed."""
    plain: bytes = field(repr=False)
    """The module in them."""
    info: ModuleInfo = field(repr=False)
    """What the module tells of itself."""
    machine: KnownArchitecture
    """What it was compiled for."""
    is_named: bool = True
    """Whether the user named this file, not a directory with it."""

    @property
    def name(self) -> str:
        """What the kernel calls it."""
        return next(iter(self.info.values("name")), self.place.rpartition("/")[2].partition(".ko")[0].replace("-", "_"))

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return sha256(self.contents).hexdigest()


@dataclass(frozen=True)
class PackageFile:
    """A file as it is installed."""

    path: str
    """Its path below the root, without a slash at the beginning."""
    contents: bytes = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True)
class ModulePackage:
    """What all formats are made from."""

    name: str
    version: str
    release: str
    """The kernel that the modules are for."""
    machine: KnownArchitecture
    modules: tuple[PackagedModule, ...]
    """Sorted by place."""
    date: int
    """Of all files, in seconds since 1970."""
    maintainer: str = ""
    """`NAME <ADDRESS>`, "" for nobody."""
    summary: str = ""
    """What the modules are, in one line."""
    depends: tuple[str, ...] = ()
    """Packages that it needs besides the kernel's, as the format spells them."""
    copyright: str = ""
    """The text about licences and authors; "" for one from what the modules state."""

    @property
    def machines(self) -> MachineNames:
        """What formats call its machine."""
        return names_of(self.machine)

    @property
    def licenses(self) -> tuple[str, ...]:
        """The licences that the modules state, each once."""
        return tuple(dict.fromkeys(value for module in self.modules for value in module.info.values("license")))

    @property
    def authors(self) -> tuple[str, ...]:
        """The authors that the modules state, each once."""
        return tuple(dict.fromkeys(value for module in self.modules for value in module.info.values("author")))

    def files(self, root: str) -> list[PackageFile]:
        """The modules below `root`/lib/modules/RELEASE, sorted."""
        return [
            PackageFile(f"{root}/lib/modules/{self.release}/{module.place}", module.contents) for module in self.modules
        ]
