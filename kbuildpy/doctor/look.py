# SPDX-License-Identifier: GPL-2.0-only
"""Whether this machine has what is needed. Nothing is started; all that is looked at takes less than half a second."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

from kbuildpy.doctor.need import FACT, HEADER, PROGRAM, MachineNeed
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.compiler import Compiler, compiler_of
from kbuildpy.kernel.fetched import built_trees, fetched_trees
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.installed import installed_images
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.vm.machine import MACHINES
from kbuildpy.vm.qemu import accelerator

_SBIN = "/usr/sbin:/sbin"
_INCLUDE = (Path("/usr/include"), Path("/usr/local/include"))
_LIBRARIES = ("usr/lib", "usr/lib64", "usr/local/lib", "usr/lib/*-linux-gnu*")
_PKCS11 = ("p11-kit-proxy.so", "softhsm/libsofthsm2.so", "libsofthsm2.so", "opensc-pkcs11.so", "pkcs11/*.so")


@dataclass(frozen=True)
class LookResult:
    """What was found for a need."""

    value: str
    """The program's path, a version, a release, or a few words; "" if the need is not met."""
    package: str = ""
    """Debian's package of what is missing, where the need itself does not know it."""
    name: str = ""
    """What is missing, in the same way."""


class ThisMachine:
    """This machine, each of whose facts is looked at once. `root` stands in for /, `environ` for the environment."""

    def __init__(self, environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> None:
        self._environ = os.environ if environ is None else environ
        self._root = root
        self._found: dict[MachineNeed, LookResult] = {}

    def find(self, need: MachineNeed) -> LookResult:
        """What there is of `need`."""
        if need not in self._found:
            self._found[need] = self._look(need)
        return self._found[need]

    def _look(self, need: MachineNeed) -> LookResult:
        if need.kind == PROGRAM:
            search = f"{self._environ.get('PATH', '')}:{_SBIN}"
            return LookResult(shutil.which(need.name, path=search) or "")
        if need.kind == HEADER:
            places = (folder / need.name for folder in _INCLUDE)
            return LookResult(next((str(place) for place in places if place.is_file()), ""))
        if need.kind == FACT:
            return FACTS[need.name](self)
        return LookResult(_installed_version(need.name, need.least))

    @cached_property
    def trees(self) -> tuple[KernelTree, ...]:
        """The kernel trees that a build finds, the one of KDIR first, then from the newest to the oldest."""
        found: list[KernelTree] = []
        named = self._environ.get("KDIR", "")
        if named:
            with suppress(KbuildError, OSError):
                found.append(open_tree(Path(named)))
        for source in (installed_trees(self._root), fetched_trees(), built_trees()):
            found += reversed(source.trees)
        return tuple(found)

    def kernel_tree(self) -> LookResult:
        """The trees of kernels."""
        releases = dict.fromkeys(tree.release for tree in self.trees)
        return LookResult(_some(releases))

    def compiler(self) -> LookResult:
        """The compiler of the tree that a build would take."""
        tree = self._default_tree()
        if tree is None:
            return LookResult(shutil.which("gcc", path=self._environ.get("PATH")) or "", "gcc", "gcc")
        found: Compiler = compiler_of(tree, cross_compile=self._environ.get("CROSS_COMPILE", ""))
        path = shutil.which(found.program, path=self._environ.get("PATH")) or ""
        return LookResult(path, found.package, found.program)

    def _default_tree(self) -> KernelTree | None:
        running = os.uname().release
        named = self.trees[:1] if self._environ.get("KDIR") else ()
        return next((tree for tree in (*named, *self.trees) if tree in named or tree.release == running), None) or next(
            iter(self.trees), None
        )

    def kernel_image(self) -> LookResult:
        """A kernel to boot: installed, or from packages that apt downloads."""
        images = installed_images(self._root)
        if images:
            return LookResult(_some(images))
        return LookResult("by apt-get, when it is needed" if self._has("apt-get") and self._has("dpkg-deb") else "")

    def to_judge_by(self) -> LookResult:
        """A kernel that the loader check knows: a tree or an image."""
        tree = self.kernel_tree()
        return tree if tree.value else LookResult(_some(installed_images(self._root)))

    def kernel_sources(self) -> LookResult:
        """Sources of a kernel that the scripts of checkers can be taken from."""
        in_trees = (tree.source for tree in self.trees if (tree.source / "scripts/checkpatch.pl").is_file())
        places = [*in_trees, *sorted(self._root.glob("usr/src/linux-source-*"))]
        package = ""
        if not places and self.trees:
            package = f"linux-source-{'.'.join(map(str, self.trees[0].version))}"
        return LookResult(str(places[0]) if places else "", package)

    def namespaces(self) -> LookResult:
        """Whether a process gets a mount namespace of its own (settings of the kernel; a container may refuse yet)."""
        if os.geteuid() == 0:
            return LookResult("as root")
        limits = {"user/max_user_namespaces": "0", "kernel/unprivileged_userns_clone": "0"}
        limits["kernel/apparmor_restrict_unprivileged_userns"] = "1"
        for name, refused in limits.items():
            with suppress(OSError):
                if (self._root / "proc/sys" / name).read_text().strip() == refused:
                    return LookResult("")
        return LookResult("user namespaces" if (self._root / "proc/self/ns/user").exists() else "")

    def kvm(self) -> LookResult:
        """Whether QEMU can use this processor's virtual machines."""
        native = [machine for machine in MACHINES if machine.native]
        return LookResult("/dev/kvm" if native and accelerator(native[0]) == "kvm" else "")

    def root(self) -> LookResult:
        """Whether this is root."""
        return LookResult("yes" if os.geteuid() == 0 else "")

    def pkcs11_library(self) -> LookResult:
        """A library that speaks to tokens."""
        named = self._environ.get("PKCS11_MODULE_PATH", "")
        patterns = (f"{folder}/{name}" for folder in _LIBRARIES for name in _PKCS11)
        found = (path for pattern in patterns for path in sorted(self._root.glob(pattern)))
        return LookResult(named if named and Path(named).is_file() else str(next(found, "")))

    def static_c_library(self) -> LookResult:
        """The C library that static programs are linked with."""
        found = (path for folder in _LIBRARIES for path in sorted(self._root.glob(f"{folder}/libc.a")))
        return LookResult(str(next(found, "")))

    def gcc_plugins(self) -> LookResult:
        """The headers for plugins of the gcc that is called by this name: of the version in the name of its file, else
        of the newest one that is installed."""
        program = shutil.which("gcc", path=self._environ.get("PATH"))
        places = [place for folder in ("lib", "lib64") for place in self._root.glob(f"usr/{folder}/gcc/*/*")]
        version = Path(program).resolve().name.rpartition("-")[2] if program else ""
        if not version.isdigit():
            versions = (place.name.partition(".")[0] for place in places)
            version = max(filter(str.isdigit, versions), key=int, default="")
        headers = (place / "plugin/include/plugin-version.h" for place in places if place.name.split(".")[0] == version)
        found = next((str(header) for header in headers if header.is_file()), "")
        return LookResult(found, f"gcc-{version}-plugin-dev" if version else "")

    def _has(self, program: str) -> bool:
        return shutil.which(program, path=self._environ.get("PATH")) is not None


FACTS: dict[str, Callable[[ThisMachine], LookResult]] = {
    "kernel tree": ThisMachine.kernel_tree,
    "compiler": ThisMachine.compiler,
    "kernel image": ThisMachine.kernel_image,
    "kernel to judge by": ThisMachine.to_judge_by,
    "kernel sources": ThisMachine.kernel_sources,
    "namespaces": ThisMachine.namespaces,
    "KVM": ThisMachine.kvm,
    "root": ThisMachine.root,
    "static C library": ThisMachine.static_c_library,
    "PKCS#11 library": ThisMachine.pkcs11_library,
    "headers for gcc's plugins": ThisMachine.gcc_plugins,
}
"""Each fact with what looks for it."""


def _installed_version(name: str, least: str) -> str:
    """The version of an installed Python package; "" if it is not there, or older than `least`."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
    return version if _numbers(version) >= _numbers(least) else ""


def _numbers(version: str) -> tuple[int, ...]:
    parts = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)


def _some(releases: Mapping[str, object]) -> str:
    names = list(releases)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
