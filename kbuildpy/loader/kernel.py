"""What the check knows about a kernel: a value that is made from a kernel tree or from an installed image.

Each fact may be missing (None); the stages that need it then say that they were not carried out. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kbuildpy.kernel.module_facts import ModuleStruct
from kbuildpy.loader.since import Version

if TYPE_CHECKING:
    from kbuildpy.kernel.module_names import Meaning, Softdeps
    from kbuildpy.loader.btf.types import BtfTypes
    from kbuildpy.signing.keyring import Keyring

__all__ = ["Exports", "KernelExport", "LoaderKernel", "ModuleStruct"]


class KernelExport(NamedTuple):
    """An exported symbol: its owner ("" for the kernel itself, else a module's name), CRC (None without modversions),
    whether for GPL-compatible modules only, its namespace or "", and whether the owner is proprietary (None: unknown).
    """

    owner: str
    crc: int | None
    gpl_only: bool
    namespace: str
    proprietary: bool | None = False


class Exports(Protocol):
    """What the kernel and its own modules export."""

    def find(self, symbol: str) -> KernelExport | None:
        """What is known of `symbol`, None if nobody exports it."""


@dataclass(frozen=True)
class LoaderKernel:
    """A kernel as its loader sees a module.

    `release` is UTS_RELEASE; `version` decides between variants of a stage; `machine` is "x86_64" or "arm64".
    `config` is the configuration, `vermagic` VERMAGIC_STRING, `struct_module` its layout, `exports` the symbols.
    `keyring` gives what signatures are checked with (the first call takes a second: the image is unpacked; later ones
    nothing), and may raise `KbuildError` for a damaged image; not `keyring_complete`: the kernel may know other keys,
    too; not `sees_signatures`: the module is to be signed later, and no signature is looked for. `sig_enforce` and
    `lockdown` are how the kernel was started, `blacklist` its `module_blacklist=`. `tainted` are the letters that it
    has already, `built_in` gives the names that code in the kernel itself has in /sys/module, `modules_of` the bytes
    of one of its own modules by name and `depends_of` the names of all that it needs, in an order that works;
    `meaning_of` says which modules modprobe takes a name for, and `softdeps_of` what one would like to have beside it.
    `own_types` gives its type information (the first call takes a second, as of `keyring`), None if it is not there.
    `missing` says in words which facts are not known, and why.
    """

    release: str
    version: Version
    machine: str
    config: Mapping[str, str] | None = None
    vermagic: str | None = None
    struct_module: ModuleStruct | None = None
    exports: Exports | None = None
    keyring: Callable[[], Keyring] | None = None
    keyring_complete: bool = True
    sees_signatures: bool = True
    sig_enforce: bool = False
    lockdown: bool = False
    blacklist: tuple[str, ...] = ()
    tainted: str = ""
    built_in: Callable[[], frozenset[str] | None] | None = None
    modules_of: Callable[[str], bytes | None] | None = None
    depends_of: Callable[[str], tuple[str, ...] | None] | None = None
    meaning_of: Callable[[str], Meaning] | None = None
    softdeps_of: Callable[[str], Softdeps] | None = None
    own_types: Callable[[], BtfTypes | None] | None = None
    missing: tuple[str, ...] = field(default=())

    def has(self, symbol: str) -> bool | None:
        """Whether `CONFIG_symbol` is y; None where the configuration is not known."""
        return None if self.config is None else self.config.get(f"CONFIG_{symbol}") == "y"
