# SPDX-License-Identifier: GPL-2.0-only
"""Licences as SPDX writes them in a source, and as MODULE_LICENSE() tells the kernel.

Counterparts: Documentation/process/license-rules.rst (the table below "Ident"), include/linux/license.h
(license_is_gpl_compatible).
"""

from __future__ import annotations

from kbuildpy.errors import UsageError

MODULE_LICENSES = {
    "GPL-2.0-only": "GPL",
    "GPL-2.0-or-later": "GPL",
    "GPL-2.0-only OR MIT": "Dual MIT/GPL",
    "GPL-2.0-or-later OR MIT": "Dual MIT/GPL",
    "GPL-2.0-only OR BSD-2-Clause": "Dual BSD/GPL",
    "GPL-2.0-or-later OR BSD-2-Clause": "Dual BSD/GPL",
    "GPL-2.0-only OR BSD-3-Clause": "Dual BSD/GPL",
    "GPL-2.0-or-later OR BSD-3-Clause": "Dual BSD/GPL",
    "GPL-2.0-only OR MPL-1.1": "Dual MPL/GPL",
    "GPL-2.0-or-later OR MPL-1.1": "Dual MPL/GPL",
}
"""What MODULE_LICENSE() says for each SPDX expression that a project may have."""

DEFAULT = "GPL-2.0-only"

_OLDER = {"GPL-2.0": "GPL-2.0-only", "GPL-2.0+": "GPL-2.0-or-later", "GPL": "GPL-2.0-only", "GPL v2": "GPL-2.0-only"}
"""Names that are in use for the same, among them SPDX's own before 3.0."""


def spdx_expression(text: str) -> str:
    """`text` as one of the keys of `MODULE_LICENSES`: the order of what OR joins and older names do not matter.

    Raises `UsageError` for every other licence: a template calls functions that the kernel exports to GPL modules only.
    """
    parts = [_OLDER.get(part.strip(), part.strip()) for part in text.split(" OR ")]
    parts.sort(key=lambda part: not part.upper().startswith("GPL-"))
    wanted = " OR ".join(parts).lower()
    for expression in MODULE_LICENSES:
        if expression.lower() == wanted:
            return expression
    raise UsageError(
        f"--license {text!r}: not a licence that the kernel accepts as compatible with its own",
        hint=f"as SPDX writes them: {', '.join(MODULE_LICENSES)}",
    )
