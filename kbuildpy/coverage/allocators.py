# SPDX-License-Identifier: GPL-2.0-only
"""The functions of a kernel that allocate memory, and those that free what no tracepoint tells of.

Kernels have other names for the same (6.10 added `_noprof`, 6.2 `kmalloc_trace`); an inline function such as kzalloc()
calls one of them. The table holds patterns for all of them; the symvers of a tree tells which a kernel has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Allocator(NamedTuple):
    """A function that allocates."""

    name: str
    failure: str
    """What it returns when it fails, in C."""
    watched: bool
    """What it returns is an address that somebody frees: by kfree(), kmem_cache_free() or one of `freeing`."""


class Wrapped(NamedTuple):
    """The functions whose calls instrumented modules hand over."""

    allocators: tuple[Allocator, ...]
    freeing: tuple[str, ...]
    """Those that free memory of pages, by the address that is their first argument."""
    freeing_later: tuple[str, ...] = ()
    """Those that free memory of slabs after a grace period (`kfree_rcu()`)."""

    @property
    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted([*(item.name for item in self.allocators), *self.freeing, *self.freeing_later])


_NULL, _ERROR = "0", "-ENOMEM"
# The name without `__` before and `_noprof` behind it; what it returns for want of memory; whether it is freed as said.
_ALLOCATORS = [
    (re.compile(pattern), failure, watched)
    for pattern, failure, watched in (
        # mm/slab_common.c, mm/slub.c; kernels before 5.17 allocate large blocks as pages (kmalloc_order)
        (r"k(v)?malloc(_cache)?(_node)?(_track_caller)?(_trace)?", _NULL, True),
        (r"kmalloc_(large|order)(_node)?(_trace)?|kmalloc_order_trace", _NULL, True),
        (r"kmalloc_node_trace|kmalloc_flags", _NULL, True),
        (r"kmem_cache_alloc(_lru|_node|_trace|_node_trace)?", _NULL, True),
        (r"k(v)?realloc(_node_align)?", _NULL, True),
        # mm/util.c, lib/kasprintf.c
        (r"kmemdup(_nul|_array)?|kvmemdup|kstr(n)?dup|k(v)?asprintf", _NULL, True),
        (r"(v)?memdup_user(_nul)?|strndup_user", _ERROR, True),
        # mm/vmalloc.c
        (r"v(m|z)alloc(_node|_user|_32|_32_user|_huge|_array)?|vcalloc|vmalloc_huge_node", _NULL, True),
        # mm/page_alloc.c, mm/mempolicy.c
        (r"alloc_pages(_exact)?|get_free_pages|get_zeroed_page|folio_alloc", _NULL, True),
        # mm/percpu.c, kernel/dma/mapping.c, mm/dmapool.c, lib/bitmap.c
        (r"alloc_percpu(_gfp)?|pcpu_alloc", _NULL, False),
        (r"dma(m)?_alloc_(attrs|pages|coherent)|dma_pool_alloc", _NULL, False),
        (r"bitmap_(z)?alloc(_node)?", _NULL, True),
        # drivers/base/devres.c: freed with the device
        (r"devm_k(m|z|re)alloc|devm_kmemdup(_array)?|devm_kstrdup(_const)?|devm_k(v)?asprintf", _NULL, False),
        (r"devm_bitmap_(z)?alloc|devm_alloc_percpu|devres_alloc_node", _NULL, False),
        (r"devm_get_free_pages", _NULL, False),
    )
]
_FREEING = frozenset(
    (
        "vfree",
        "vfree_atomic",
        "kvfree",
        "kvfree_sensitive",
        "free_pages",
        "__free_pages",
        "free_pages_exact",
        "__folio_put",
    )
)
_FREEING_LATER = frozenset(("kvfree_call_rcu",))
_NAME = re.compile(r"[A-Za-z_]\w*")


def wrapped_of(exports: Iterable[str]) -> Wrapped:
    """Those of the functions that a kernel exports."""
    allocators, freeing, freeing_later = [], [], []
    for name in sorted(set(exports)):
        if not _NAME.fullmatch(name):
            continue
        plain = name.removeprefix("__").removesuffix("_noprof")
        row = next((row for row in _ALLOCATORS if row[0].fullmatch(plain)), None)
        if row:
            allocators.append(Allocator(name, row[1], row[2]))
        elif name in _FREEING:
            freeing.append(name)
        elif name in _FREEING_LATER:
            freeing_later.append(name)
    return Wrapped(tuple(allocators), tuple(freeing), tuple(freeing_later))


def allocators_header(wrapped: Wrapped) -> str:
    """The file `allocators.h` of the guest's module."""
    lines = [f"ALLOCATOR({item.name}, {item.failure}, {int(item.watched)})" for item in wrapped.allocators]
    lines += [f"FREE({name})" for name in wrapped.freeing]
    lines += [f"FREE_LATER({name})" for name in wrapped.freeing_later]
    return "".join(f"{line}\n" for line in ["/* SPDX-License-Identifier: GPL-2.0-only */", *lines])
