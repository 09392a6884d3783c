# SPDX-License-Identifier: GPL-2.0-only
"""What a module states about itself, found in its bytes without taking the ELF file apart: it may be damaged.

`kbuildpy.elf` reads `.modinfo` of sound modules. This is for sorting many files by kernel and by dependency first.
"""

from __future__ import annotations

from kbuildpy.kernel.release import release_of_vermagic


def stated_needs(contents: bytes) -> tuple[str, ...]:
    """The names of the modules in `depends=`."""
    return tuple(name for name in _stated(contents, b"\0depends=").replace("-", "_").split(",") if name)


def stated_release(contents: bytes) -> str:
    """The release in `vermagic=`: of the kernel that the module was built for. "" if there is none."""
    return release_of_vermagic(_stated(contents, b"\0vermagic="))


def _stated(contents: bytes, tag: bytes) -> str:
    start = contents.find(tag)
    if start < 0:
        return ""
    start += len(tag)
    return contents[start : contents.find(b"\0", start)].decode("utf-8", "replace")
