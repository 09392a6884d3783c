# SPDX-License-Identifier: GPL-2.0-only
"""Modules of an instrumented build (`kbuildpy build --coverage`), which are for `kbuildpy run` alone: they say so in
their modinfo."""

from __future__ import annotations

from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import KbuildError

_FIELD = "kbuildpy_instrumented"
_WORD = f"{_FIELD}=coverage\0".encode()


def is_instrumented(image: ModuleImage) -> bool:
    """Whether a module is instrumented."""
    return bool(image.modinfo_values(_FIELD))


def refuse_instrumented(contents: bytes, file: object = "", *, doing: str) -> None:
    """Refuse an instrumented module (`KbuildError`), which nobody should be given: it cannot be loaded without the
    module that watches it. `contents` are its file's, `doing` is what is not done with it."""
    if _WORD in contents:
        raise KbuildError(
            f"{f'{file}: ' if file else ''}instrumented (--coverage), so it is not {doing}",
            hint="name the module of a build without --coverage",
        )
