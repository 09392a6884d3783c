# SPDX-License-Identifier: GPL-2.0-only
"""Whether modules get BTF type information (lib/Kconfig.debug: DEBUG_INFO_BTF_MODULES).

Kbuild generates it against the tree's `vmlinux`, and goes without where the headers package has none: "Skipping BTF
generation ... due to unavailability of vmlinux" (scripts/Makefile.modfinal: cmd_btf_ko).
"""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.kernel.tree import KernelTree


@dataclass(frozen=True)
class Btf:
    """`wanted`: the configuration asks for BTF in modules; `vmlinux`: the tree has what it takes."""

    wanted: bool
    vmlinux: bool

    def __str__(self) -> str:
        if not self.wanted:
            return "no"
        return "yes" if self.vmlinux else "no vmlinux"


def btf_of(tree: KernelTree) -> Btf:
    """What `tree` says about BTF in modules."""
    return Btf(
        wanted=tree.config.get("CONFIG_DEBUG_INFO_BTF_MODULES") == "y",
        vmlinux=(tree.objects / "vmlinux").is_file(),
    )
