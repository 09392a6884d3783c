# SPDX-License-Identifier: GPL-2.0-only
"""Whether a kernel compares symbol versions, and what computes them (init/Kconfig: MODVERSIONS)."""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.kernel.tree import KernelTree


@dataclass(frozen=True)
class Modversions:
    """`generator` makes the CRCs: `genksyms` from source text, `gendwarfksyms` (since 6.14) from debug information.

    `extended` kernels (since 6.14) also read the table for names that do not fit the classical one.
    """

    enabled: bool
    generator: str
    extended: bool


def modversions_of(tree: KernelTree) -> Modversions:
    """What `tree`'s configuration says about symbol versions."""
    config = tree.config
    enabled = config.get("CONFIG_MODVERSIONS") == "y"
    generator = "gendwarfksyms" if config.get("CONFIG_GENDWARFKSYMS") == "y" else "genksyms"
    return Modversions(
        enabled=enabled,
        generator=generator if enabled else "",
        extended=config.get("CONFIG_EXTENDED_MODVERSIONS") == "y",
    )
