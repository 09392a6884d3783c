# SPDX-License-Identifier: GPL-2.0-only
"""Where the files are looked for that nobody named: modules below build/RELEASE and in /lib/modules/RELEASE, the
kernel's vmlinux where distributions and builds have it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.debug.subjects import Subject, read_subject, read_vmlinux
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import module_name, walk_modules
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.own_modules import OwnModules

# scripts/decode_stacktrace.sh, and where a kernel tree was built.
_VMLINUX = (
    "usr/lib/debug/boot/vmlinux-{release}",
    "usr/lib/debug/lib/modules/{release}/vmlinux",
    "lib/modules/{release}/vmlinux",
    "lib/modules/{release}/build/vmlinux",
    "boot/vmlinux-{release}",
)


@dataclass
class Finder:
    """Finds each file once."""

    directory: Path
    """Its `build/RELEASE` is looked at first."""
    root: Path = Path("/")
    """The system's root directory."""
    debug_folders: tuple[Path, ...] = ()
    """More folders with debug information by build id."""
    _modules: dict[str, dict[str, Path]] = field(default_factory=dict)
    _kernels: dict[tuple[str, str], Subject | None] = field(default_factory=dict)
    _subjects: dict[Path, Subject] = field(default_factory=dict)

    def module(self, name: str, release: str) -> Subject | None:
        """The module called `name` for kernel `release`; None if there is none. Raises `KbuildError` for a file that is
        damaged."""
        if release not in self._modules:
            self._modules[release] = self._module_files(release)
        path = self._modules[release].get(name)
        if path is None:
            return None
        if path not in self._subjects:
            self._subjects[path] = read_subject(path, root=self.root, debug_folders=self.debug_folders)
        return self._subjects[path]

    def candidates(self, name: str, release: str) -> list[Path]:
        """All files of a module called `name` for kernel `release`: one that was built here, one that is installed."""
        if not release:
            return []
        return [files[name] for files in (self._built(release), self._installed(release)) if name in files]

    def kernel(self, release: str, build_id: str) -> Subject | None:
        """The vmlinux of kernel `release`, whose build id must be `build_id` if that is known; None without one."""
        if (release, build_id) not in self._kernels:
            self._kernels[release, build_id] = self._find_kernel(release, build_id)
        return self._kernels[release, build_id]

    def found(self) -> list[Subject]:
        """All files that were found so far."""
        return [*self._subjects.values(), *(kernel for kernel in self._kernels.values() if kernel)]

    def places(self, release: str) -> tuple[Path, ...]:
        """The directories in which modules of `release` are looked for."""
        return self.directory / "build" / release, self.root / "lib/modules" / release

    def _module_files(self, release: str) -> dict[str, Path]:
        return self._installed(release) | self._built(release) if release else {}

    def _built(self, release: str) -> dict[str, Path]:
        return {module_name(path): Path(path) for path in walk_modules(self.places(release)[0])}

    def _installed(self, release: str) -> dict[str, Path]:
        installed = modules_directory(release, root=self.root)
        if installed is None:
            return {}
        try:
            return dict(OwnModules(installed, added=True).files())
        except KbuildError:
            # (a list of depmod's that is damaged: the files are there all the same)
            return {module_name(path): Path(path) for path in walk_modules(installed)}

    def _find_kernel(self, release: str, build_id: str) -> Subject | None:
        if not release:
            return None
        paths = [self.root / pattern.format(release=release) for pattern in _VMLINUX]
        if build_id:
            paths.insert(0, self.root / "usr/lib/debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug")
        for path in paths:
            if not path.is_file() or not os.access(path, os.R_OK):
                continue
            try:
                subject = read_vmlinux(path, root=self.root)
            except KbuildError:
                continue
            if subject.build_id.startswith(build_id):
                return subject
        return None
