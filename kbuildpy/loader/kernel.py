# SPDX-License-Identifier: GPL-2.0-only
"""A kernel as the loader check knows it: a value that is made from a kernel tree or from an image (`kernels/`).

Each fact may be missing (None): a stage that needs it then notes the check as left out (`LoadInfo.not_checked`).
Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kbuildpy.kernel.module_facts import ModuleStruct
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.since import Version

if TYPE_CHECKING:
    from kbuildpy.kernel.own_modules import OwnModules
    from kbuildpy.loader.btf.types import BtfTypes
    from kbuildpy.signing.keyring import Keyring


class KernelExport(NamedTuple):
    """An exported symbol."""

    owner: str
    """The module that exports it; "" for the kernel itself."""
    crc: int | None
    """Its version; None without modversions."""
    gpl_only: bool
    """Whether only GPL-compatible modules may use it."""
    namespace: str
    """Its namespace, or ""."""
    proprietary: bool | None = False
    """Whether the owner is proprietary; None: not known."""


class Exports(Protocol):
    """The symbols that the kernel and its own modules export."""

    def find(self, symbol: str) -> KernelExport | None:
        """The export called `symbol`, None if there is none."""


@dataclass(frozen=True)
class LoaderKernel:
    """A kernel, as far as its loader's answers depend on it."""

    release: str
    """UTS_RELEASE."""
    version: Version
    """Decides between variants of a stage (`since`)."""
    machine: str
    """Its architecture as `str(kernel.architecture.Architecture)` names it; those of `machines.NAMES` are known."""
    config: Mapping[str, str] | None = None
    """The configuration."""
    vermagic: str | None = None
    """VERMAGIC_STRING."""
    struct_module: ModuleStruct | None = None
    """The layout of struct module."""
    exports: Exports | None = None
    """The symbols that the kernel and its own modules export."""
    keyring: Callable[[], Keyring] | None = None
    """The keys that signatures are verified with. The first call unpacks the image, which takes a second; it may raise
    `KbuildError` for a damaged one."""
    keyring_complete: bool = True
    """Whether these are all keys: if not, the kernel may accept a signature that none of them verifies."""
    sees_signatures: bool = True
    """False: the module is signed later, and no signature is looked for."""
    sig_enforce: bool = False
    """Whether the kernel was started with module.sig_enforce=1."""
    lockdown: bool = False
    """Whether the kernel is locked down."""
    blacklist: tuple[str, ...] = ()
    """Its `module_blacklist=`."""
    tainted: str = ""
    """The letters of the taints that it has already."""
    own_modules: OwnModules | None = None
    """The modules that came with it."""
    own_types: Callable[[], BtfTypes | None] | None = None
    """Gives its type information, None if it has none. The first call takes a second."""
    missing: Mapping[Fact, str] = field(default_factory=dict)
    """Why facts are not known."""

    def has(self, symbol: str) -> bool | None:
        """Whether `CONFIG_symbol` is y; None where the configuration is not known."""
        return None if self.config is None else self.config.get(f"CONFIG_{symbol}") == "y"
