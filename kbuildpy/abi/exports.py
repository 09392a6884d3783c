# SPDX-License-Identifier: GPL-2.0-only
"""The exported symbols of two kernels compared: gone, come, or with another CRC, licence, namespace or owner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import KernelExport, LoaderKernel
from kbuildpy.loader.kernels.exports import SymversExports


class ExportChange(NamedTuple):
    """One symbol in both kernels."""

    symbol: str
    old: KernelExport | None
    """None where the old kernel does not export it."""
    new: KernelExport | None

    @property
    def crc(self) -> bool:
        """Whether it has another CRC."""
        return (
            self.old is not None
            and self.new is not None
            and None not in (self.old.crc, self.new.crc)
            and self.old.crc != self.new.crc
        )

    @property
    def became_gpl_only(self) -> bool:
        """Whether it was for every module, and is for GPL-compatible ones only."""
        return self.old is not None and self.new is not None and self.new.gpl_only and not self.old.gpl_only

    @property
    def became_free(self) -> bool:
        """Whether it was for GPL-compatible modules only, and is for every module."""
        return self.old is not None and self.new is not None and self.old.gpl_only and not self.new.gpl_only

    @property
    def namespace(self) -> bool:
        """Whether it is in another namespace."""
        return self.old is not None and self.new is not None and self.old.namespace != self.new.namespace

    @property
    def moved(self) -> bool:
        """Whether another module exports it."""
        return self.old is not None and self.new is not None and self.old.owner != self.new.owner

    @property
    def kinds(self) -> tuple[str, ...]:
        """What changed, in the words of JSON; empty for nothing."""
        if self.old is None or self.new is None:
            return ("came",) if self.new else ("gone",) if self.old else ()
        found = (
            ("crc", self.crc),
            ("gpl-only", self.became_gpl_only),
            ("free", self.became_free),
            ("namespace", self.namespace),
            ("moved", self.moved),
        )
        return tuple(name for name, is_so in found if is_so)


def compare_exports(old: LoaderKernel, new: LoaderKernel) -> Iterator[ExportChange]:
    """All symbols of both kernels in the order of their names, also those that are the same.

    Raises `KbuildError` for a kernel whose exports are not known.
    """
    before, after = exports_of(old), exports_of(new)
    for symbol in sorted({*before.symvers.columns.rows, *after.symvers.columns.rows}):
        yield ExportChange(symbol, before.find(symbol), after.find(symbol))


def exports_of(kernel: LoaderKernel) -> SymversExports:
    """The exports of `kernel`. Raises `KbuildError` if they are not known."""
    if isinstance(kernel.exports, SymversExports):
        return kernel.exports
    reason = kernel.missing.get(Fact.EXPORTS, "there is no Module.symvers")
    raise KbuildError(
        f"the exported symbols of {kernel.release} are not known: {reason}",
        hint="they are in its headers (Module.symvers), or in its image together with its modules",
    )
