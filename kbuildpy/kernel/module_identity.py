# SPDX-License-Identifier: GPL-2.0-only
"""A module's name, kernel and dependencies, as its `.modinfo` states them.

For files that may be damaged, without taking them apart: `kbuildpy.kernel.stated`.
"""

from __future__ import annotations

from kbuildpy.elf.image import ModuleImage
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.release import release_of_vermagic


def own_name(image: ModuleImage, file_name: str) -> str:
    """The name under which the kernel loads a module; before `name=` came into `.modinfo`, that of its file."""
    return next(iter(image.modinfo_values("name")), module_name(file_name))


def built_for(image: ModuleImage) -> str:
    """The release that a module was built for; "" if its vermagic names none."""
    return release_of_vermagic(next(iter(image.modinfo_values("vermagic")), ""))


def needed_modules(image: ModuleImage) -> tuple[str, ...]:
    """The modules in `depends=`, spelt as modpost spelt them."""
    return tuple(name for value in image.modinfo_values("depends") for name in value.split(",") if name)
