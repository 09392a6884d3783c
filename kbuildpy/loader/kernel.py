# SPDX-License-Identifier: GPL-2.0-only
"""The facts about a kernel that the loader check needs, read from a kernel tree or from an image (`kernels/`).

A fact may be missing (None): a stage that needs it then records the check as left out (`LoadInfo.not_checked`). No fact
is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kbuildpy.kernel.module_facts import ModuleStruct
from kbuildpy.kernel.release import Version
from kbuildpy.loader.facts import Fact

if TYPE_CHECKING:
    from kbuildpy.kernel.own_modules import OwnModules
    from kbuildpy.loader.btf.types import BtfTypes
    from kbuildpy.signing.keyring import Keyring


class KernelExport(NamedTuple):
    """An exported symbol."""

    owner: str
    """The module that exports it; "" for the kernel itself."""
    crc: int | None
    """The CRC of its version; None without modversions."""
    gpl_only: bool
    """Whether only GPL-compatible modules may use it."""
    namespace: str
    """Its namespace, or ""."""
    proprietary: bool | None = False
    """Whether the owner is proprietary; None: not known."""


class Exports(Protocol):
    """The symbols that the kernel and its own modules export."""

    def find(self, symbol: str) -> KernelExport | None:
        """Return the export called `symbol`; None if there is none."""


@dataclass(frozen=True)
class LoaderKernel:
    """The facts about a kernel that its loader's results depend on."""

    release: str
    """UTS_RELEASE."""
    version: Version
    """The version, which selects the variant of a stage (`since`)."""
    machine: str
    """The architecture, named as by `str(kernel.architecture.Architecture)`; supported: `machines.NAMES`."""
    config: Mapping[str, str] | None = None
    """The values of the configuration, by symbol with `CONFIG_`."""
    vermagic: str | None = None
    """VERMAGIC_STRING."""
    struct_module: ModuleStruct | None = None
    """The layout of struct module."""
    exports: Exports | None = None
    """The symbols that the kernel and its own modules export."""
    wants_every_version: bool | None = None
    """Whether a module that has versions is refused for a symbol without one. Debian's kernels do that; others log a
    line, once a boot, and load it. None: not known."""
    keyring: Callable[[], Keyring] | None = None
    """Returns the keys that the kernel verifies signatures with. The first call unpacks the image, which takes a
    second; it raises `KbuildError` for a damaged image."""
    keyring_complete: bool = True
    """Whether the keyring has all of the kernel's keys. If not, the kernel may accept a signature that no known key
    verifies."""
    sees_signatures: bool = True
    """Whether signatures are checked; False if the module will be signed later."""
    sig_enforce: bool = False
    """Whether the kernel was started with module.sig_enforce=1."""
    lockdown: bool = False
    """Whether the kernel is locked down."""
    blacklist: tuple[str, ...] = ()
    """The module names of the kernel parameter `module_blacklist=`."""
    tainted: str = ""
    """The letters of the taints that are set before the module is loaded."""
    own_modules: OwnModules | None = None
    """The modules that were built with the kernel."""
    own_types: Callable[[], BtfTypes | None] | None = None
    """Returns the kernel's BTF, None if it has none. The first call takes a second."""
    types_identity: Callable[[], str] | None = None
    """Returns a digest of the kernel's BTF, without decoding it; "" if it has none. Raises as `own_types`."""
    missing: Mapping[Fact, str] = field(default_factory=dict)
    """The reason why a fact is not known, by fact."""

    def has(self, symbol: str) -> bool | None:
        """Return whether `CONFIG_symbol` is y; None if the configuration is not known."""
        return None if self.config is None else self.config.get(f"CONFIG_{symbol}") == "y"

    def fits_vermagic(self, magic: str, *, has_crcs: bool) -> bool | None:
        """Return whether a module's vermagic `magic` equals the kernel's; None if the kernel's is not known. With
        `has_crcs` their first words, the releases, are not compared (kernel/module/version.c: same_magic)."""
        if self.vermagic is None:
            return None
        if has_crcs:
            return _without_release(magic) == _without_release(self.vermagic)
        return magic == self.vermagic


def _without_release(vermagic: str) -> str:
    return vermagic[len(vermagic.split(" ", 1)[0]) :]
