# SPDX-License-Identifier: GPL-2.0-only
"""Counts the sizes of a module's blocks of memory during the layout (kernel/module/main.c: module_get_offset)."""

from __future__ import annotations

from dataclasses import dataclass, field

_U32 = 0xFFFFFFFF


@dataclass
class Blocks:
    """The blocks, whose sizes grow section by section. They are counted in 32 bits, as in the kernel."""

    sizes: dict[str, int]
    """Bytes of each block so far, by its name: a type of memory, or up to 6.3 "core" and "init"."""
    by_type: bool
    """Whether there is a block for each type of memory (from 6.4 on)."""
    is_strict: bool
    """Whether parts of a block with different protection begin at a page (CONFIG_STRICT_MODULE_RWX)."""
    page_size: int = 4096
    """PAGE_SIZE in bytes."""
    kind_of: dict[int, str] = field(default_factory=dict)
    """The block of each section, by the section's number."""
    has_overflowed: bool = False
    """Whether a size did not fit in 32 bits."""

    def reserve(self, kind: str, size: int, alignment: int) -> int:
        """Add `size` bytes to the block `kind`, and return their offset in it."""
        offset = align(self.sizes[kind], alignment)
        if offset + size > _U32 or offset < self.sizes[kind]:
            self.has_overflowed = True
        self.sizes[kind] = (offset + size) & _U32
        return offset

    def end_page(self, kind: str) -> None:
        """Round the size of the block up to a page if the next part has another protection (up to 6.3 only)."""
        if not self.by_type and self.is_strict:
            self.sizes[kind] = page_align(self.sizes[kind], self.page_size)


def align(size: int, alignment: int) -> int:
    """Return the kernel's ALIGN() of an unsigned int. The result is only rounded up if `alignment` is a power of two of
    at most 32 bits."""
    mask = ((alignment or 1) - 1) & _U32
    return (size + mask) & ~mask & _U32


def page_align(size: int, page_size: int) -> int:
    """Return `size` in bytes, rounded up to whole pages."""
    return (size + page_size - 1) & ~(page_size - 1)
