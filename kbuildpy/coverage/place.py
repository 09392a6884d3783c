# SPDX-License-Identifier: GPL-2.0-only
"""Where instrumented modules go, so that they never mix with others."""

from __future__ import annotations

from pathlib import Path


def instrumented_place(out: Path) -> Path:
    """The directory of the output in place of `out`."""
    return out.with_name(f"{out.name}-coverage")
