# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a module as a picture (SVG): what stays, what is freed when init is over, the size of each section."""

from __future__ import annotations

from kbuildpy.info.memory import ModuleMemory
from kbuildpy.loader.reports.memory_picture import DrawnBlock, DrawnSection, draw_memory


def as_svg(memory: ModuleMemory) -> str:
    """The picture of `memory`."""
    blocks = [
        DrawnBlock(
            block.kind,
            block.size,
            block.is_freed,
            [DrawnSection(item.name, item.offset, item.size, item.access) for item in block.sections],
        )
        for block in memory.blocks
    ]
    besides = [f"per CPU: {memory.per_cpu:,} bytes for each processor"] if memory.per_cpu else []
    besides.append(f"in the file only: {memory.not_loaded:,} bytes (debug information, relocations and the like)")
    return draw_memory(memory.kernel, blocks, besides=besides)
