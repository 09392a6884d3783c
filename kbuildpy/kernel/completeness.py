# SPDX-License-Identifier: GPL-2.0-only
"""What a prepared kernel tree still lacks for building every module.

Kbuild goes on without `Module.symvers` ("WARNING: Module.symvers is missing.", and then no symbol of the kernel is
known), and fails somewhere in the middle without a helper program: a headers package that is half there, or a tree in
which `make modules_prepare` never ended.
"""

from __future__ import annotations

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.btf import btf_of
from kbuildpy.kernel.modversions import modversions_of
from kbuildpy.kernel.tree import KernelTree


def missing_parts(tree: KernelTree) -> tuple[str, ...]:
    """The files that `tree`'s object part should have and has not, as paths in it; none for a complete tree."""
    missing = [name for name in _wanted(tree) if not (tree.objects / name).is_file()]
    scripts = ("scripts/module.lds", f"arch/{architecture_of(tree).srcarch}/module.lds")
    if tree.version >= (5, 10) and not any((tree.objects / name).is_file() for name in scripts):
        missing.append("scripts/module.lds")
    return tuple(missing)


def _wanted(tree: KernelTree) -> list[str]:
    config = tree.config
    names = ["Module.symvers", "scripts/basic/fixdep", "scripts/mod/modpost"]
    generator = modversions_of(tree).generator
    if generator:
        names.append(f"scripts/{generator}/{generator}")
    # Before 5.19 objtool had no symbol of its own.
    if "y" in (config.get("CONFIG_OBJTOOL"), config.get("CONFIG_STACK_VALIDATION")):
        names.append("tools/objtool/objtool")
    btf = btf_of(tree)
    if btf.wanted and btf.vmlinux:
        names.append("tools/bpf/resolve_btfids/resolve_btfids")
    return names
