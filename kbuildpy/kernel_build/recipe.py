# SPDX-License-Identifier: GPL-2.0-only
"""All that decides what a small kernel becomes, and its name.

The name is the release of the kernel: the version of its sources, the sets of options, and six hexadecimal digits where
other options were asked for. So no two kernels that differ have the same release, and no output of builds for them is
in the same place.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kbuildpy.errors import UsageError
from kbuildpy.kernel.architecture import ARCHITECTURES, KnownArchitecture, known_architecture, native_architecture
from kbuildpy.kernel_build.option_sets import OptionSet, base_options, machines_with_base
from kbuildpy.kernel_build.sources import KernelSource
from kbuildpy.printable import printable
from kbuildpy.run import run
from kbuildpy.similar import did_you_mean

_LONGEST = 50
"""Characters of a name: a release has at most 64 (include/linux/utsname.h: __NEW_UTS_LEN), and pieces are added."""
_FORMAT = 1
"""Changes when kernels of an older version of this code are to be built again."""


@dataclass(frozen=True)
class Toolchain:
    """The compiler and the machine that it compiles for."""

    machine: KnownArchitecture
    llvm: str = ""
    """The value of make's LLVM: "1", "-16", a path; "" for gcc."""

    @property
    def words(self) -> list[str]:
        """What make is told on its command line."""
        words = [f"ARCH={_arch(self.machine)}"]
        if self.llvm:
            words.append(f"LLVM={self.llvm}")
        elif self.machine.srcarch != native_architecture().srcarch:
            words.append(f"CROSS_COMPILE={self.machine.triplet}-")
        return words

    @property
    def compiler(self) -> str:
        """The program that compiles."""
        if self.llvm:
            return f"{self.llvm}clang" if self.llvm.endswith("/") else f"clang{self.llvm.removeprefix('1')}"
        prefix = next((word.partition("=")[2] for word in self.words if word.startswith("CROSS_COMPILE=")), "")
        return f"{prefix}gcc"

    def version(self) -> str:
        """What the compiler says of its version; "" where it is not there."""
        if shutil.which(self.compiler) is None:
            return ""
        return run([self.compiler, "--version"], check=False, env={**os.environ, "LC_ALL": "C"}).text.split("\n", 1)[0]


@dataclass(frozen=True)
class KernelRecipe:
    """A small kernel to build."""

    source: KernelSource
    toolchain: Toolchain
    sets: tuple[OptionSet, ...] = ()
    more: Mapping[str, str] | None = None
    """Options besides: symbol without CONFIG_ -> value. They come before those of the sets and the base."""
    base: Mapping[str, str] | None = None
    """Options in place of the usual base, which are added to those of the architecture (`--like`)."""
    given_name: str = ""
    """What the release ends with, in place of the names of the sets."""

    @property
    def options(self) -> dict[str, str]:
        """All options that are asked for."""
        found = {**(self.base or {}), **base_options(self.toolchain.machine.srcarch)}
        for each in self.sets:
            found.update(each.options)
        found.update(self.more or {})
        found["LOCALVERSION"] = f'"-{self._suffix}"'
        found["LOCALVERSION_AUTO"] = "n"
        return found

    @property
    def release(self) -> str:
        """The name and release of the kernel."""
        return f"{self.source.version}-{self._suffix}"

    @property
    def digest(self) -> str:
        """Of all that decides what the kernel becomes."""
        facts = [_FORMAT, self.source.identity, self.options, self.toolchain.words, self.toolchain.version()]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def _suffix(self) -> str:
        if self.given_name:
            return self.given_name
        parts = [each.name for each in self.sets] or ["small"]
        if self.toolchain.llvm:
            parts.append(f"llvm{self.toolchain.llvm.removeprefix('1').strip('-/').replace('/', '-')}")
        native, machine = native_architecture(), self.toolchain.machine
        if (machine.srcarch, machine.bits) != (native.srcarch, native.bits):
            parts.append(machine.name)
        facts = json.dumps([sorted((self.more or {}).items()), sorted((self.base or {}).items())])
        digest = hashlib.sha256(facts.encode()).hexdigest()[:6]
        if self.more or self.base:
            parts.append(digest)
        name = "-".join(parts)
        if len(name) > _LONGEST:
            name = f"{name[: _LONGEST - 7].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
        return name


def toolchain_of(arch: str, llvm: str, sets: Sequence[OptionSet]) -> Toolchain:
    """The toolchain for the architecture called `arch` (as `ARCH`, as Debian or as `uname -m` has it; "": this
    machine's) with LLVM's value `llvm`. Raises `UsageError` for an architecture without a base, and where a set needs
    another compiler."""
    machine = _machine(arch)
    if machine.srcarch not in machines_with_base():
        raise UsageError(
            f"{machine.name}: small kernels are known for {', '.join(machines_with_base())} only",
            hint="build the kernel yourself, and name its tree by its path: -k PATH",
        )
    for each in sets:
        if each.compiler == "clang" and not llvm:
            raise UsageError(f"--with {each.name} needs clang", hint="add --llvm, or --llvm=-16 for clang-16")
    return Toolchain(machine, llvm)


def _machine(arch: str) -> KnownArchitecture:
    if not arch:
        native = native_architecture()
        known = known_architecture(native.srcarch, native.bits)
        if known is None:
            raise UsageError(f"{native.arch}: small kernels are not known for this machine", hint="name one: --arch")
        return known
    others = {"amd64": "x86_64", "aarch64": "arm64", "riscv64": "riscv", "x86": "x86_64", "ppc64el": "powerpc"}
    name = others.get(arch, arch)
    for known in ARCHITECTURES:
        if name in (known.name, known.uname):
            return known
    names = [known.name for known in ARCHITECTURES]
    raise UsageError(
        f"--arch {printable(arch)}: no such architecture",
        hint=did_you_mean(arch, names) or f"one of {', '.join(names)}",
    )


def _arch(machine: KnownArchitecture) -> str:
    return machine.name if machine.srcarch == "x86" else machine.srcarch
