# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with .BTF, which only costs the module its type information (kernel/bpf/btf.c: btf_module_notify)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import case, data, rename, section


def cases(bases: Bases) -> Iterator[Case]:
    """All of them: of real BTF where the kernel tree can make it, else of what was never any."""
    untyped = bases.untyped
    no_base = section(".BTF.base")
    yield case("btf/of zeros", untyped, section(".BTF", bytes(64)))
    yield case("btf/empty base", untyped, no_base)
    yield case("btf/of zeros, on an empty base", untyped, no_base, section(".BTF", bytes(64)))
    yield case("btf/empty", untyped, section(".BTF"))
    if bases.has_btf:
        base = bases.quiet
        yield case("btf/missing", base, rename(".BTF", ".noBTF"))
        for what, place in {"magic": 0, "version": 2, "flags": 3, "header's length": 4, "types' offset": 8}.items():
            yield case(f"btf/another {what}", base, data(".BTF", place, b"\x77"))
        for what, place in {
            "types' length": 12,
            "strings' offset": 16,
            "strings' length": 20,
            "first type": 24,
        }.items():
            yield case(f"btf/another {what}", base, data(".BTF", place, b"\x77"))
        yield case("btf/the strings do not end", base, data(".BTF", -1, b"x"))
