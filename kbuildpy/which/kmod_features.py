# SPDX-License-Identifier: GPL-2.0-only
"""What the kmod of this machine can decompress: how it was built."""

from __future__ import annotations

import os
from functools import cache

from kbuildpy.errors import CommandError
from kbuildpy.kernel.module_files import MODULE_SUFFIXES
from kbuildpy.run import run, with_sbin

_FEATURES = {".ko.gz": "ZLIB", ".ko.xz": "XZ", ".ko.zst": "ZSTD"}


@cache
def kmod_suffixes() -> tuple[str, ...]:
    """The endings of module files that modprobe and depmod of this machine know; all where there is no kmod, or one
    that does not tell."""
    try:
        words = run(["modprobe", "--version"], env=with_sbin(os.environ)).text.split()
    except CommandError:
        return MODULE_SUFFIXES
    return tuple(suffix for suffix in MODULE_SUFFIXES if f"-{_FEATURES.get(suffix, '')}" not in words)
