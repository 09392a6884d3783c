# SPDX-License-Identifier: GPL-2.0-only
"""Facts about a kernel tree: its release, configuration, compiler, and the digest of its Module.symvers."""

from __future__ import annotations

import os
from hashlib import sha256

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.btf import btf_of
from kbuildpy.kernel.compiler import compiler_of
from kbuildpy.kernel.completeness import missing_parts
from kbuildpy.kernel.modversions import modversions_of
from kbuildpy.kernel.tree import KernelTree

_TOLD = frozenset(
    {"CONFIG_CC_VERSION_TEXT", "CONFIG_RUSTC_VERSION_TEXT", "CONFIG_MODULE_SIG_HASH", "CONFIG_LOCALVERSION"}
)
"""Options whose texts are told. Others may have paths, the command line, a PIN (CONFIG_MODULE_SIG_KEY)."""


def tree_facts(tree: KernelTree) -> dict[str, object]:
    """What a report says of `tree`, as JSON has it."""
    compiler = compiler_of(tree, cross_compile=os.environ.get("CROSS_COMPILE", ""))
    symvers = tree.objects / "Module.symvers"
    return {
        "release": tree.release,
        "path": str(tree.objects),
        "source": str(tree.source),
        "architecture": str(architecture_of(tree)),
        "compiler": compiler.program,
        "compiler_installed": compiler.installed,
        "built_with": compiler.built_with,
        "modversions": modversions_of(tree).enabled,
        "btf": str(btf_of(tree)),
        "missing": list(missing_parts(tree)),
        "module_symvers_sha256": sha256(symvers.read_bytes()).hexdigest() if symvers.is_file() else None,
    }


def configuration(tree: KernelTree) -> str:
    """The configuration of `tree`: texts of options are left out, but for a few that tell versions."""
    lines = [f"{name}={_value(name, value)}" for name, value in sorted(tree.config.items())]
    return "\n".join(lines) + "\n"


def _value(name: str, value: str) -> str:
    plain = value in ("y", "m", "n") or (value.lstrip("-").removeprefix("0x").isalnum() and value[:1].isdigit())
    return value if plain or name in _TOLD or not value else "<text>"
