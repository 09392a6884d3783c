# SPDX-License-Identifier: GPL-2.0-only
"""The blocks of memory of a module while its sections are laid out (kernel/module/main.c: module_get_offset)."""

from __future__ import annotations

from dataclasses import dataclass, field

PAGE_SIZE = 4096
_U32 = 0xFFFFFFFF


@dataclass
class Blocks:
    """Sizes that grow section by section, counted in 32 bits as the kernel does."""

    sizes: dict[str, int]
    """Bytes of each block so far, by its name: a type of memory, or up to 6.3 "core" and "init"."""
    by_type: bool
    """Whether there is a block for each type of memory (from 6.4 on)."""
    is_strict: bool
    """Whether blocks are divided at pages (CONFIG_STRICT_MODULE_RWX)."""
    kind_of: dict[int, str] = field(default_factory=dict)
    """The block of each section, by the section's number."""
    has_overflowed: bool = False
    """Whether a size did not fit in 32 bits."""

    def reserve(self, kind: str, size: int, alignment: int) -> int:
        """Make room for `size` bytes; their offset in the block."""
        offset = align(self.sizes[kind], alignment)
        if offset + size > _U32 or offset < self.sizes[kind]:
            self.has_overflowed = True
        self.sizes[kind] = (offset + size) & _U32
        return offset

    def end_page(self, kind: str) -> None:
        """Up to 6.3, fill the block up to the next page where memory is protected."""
        if not self.by_type and self.is_strict:
            self.sizes[kind] = page_align(self.sizes[kind])


def align(size: int, alignment: int) -> int:
    """The kernel's ALIGN() of an unsigned int: it does not round up unless `alignment` is a power of two that fits."""
    mask = ((alignment or 1) - 1) & _U32
    return (size + mask) & ~mask & _U32


def page_align(size: int) -> int:
    """`size` in bytes, rounded up to whole pages."""
    return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)
