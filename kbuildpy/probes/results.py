# SPDX-License-Identifier: GPL-2.0-only
"""What a build gets of the answers: a header for its sources, and variables for its Kbuild file."""

from __future__ import annotations

from collections.abc import Mapping

FOLDER = "probes"
"""The folder of the header among the output."""
HEADER = "kernel_probes.h"
VARIABLE = "KERNEL_PROBES"
"""The variable that names the folder, as in `ccflags-y += $(addprefix -I,$(KERNEL_PROBES))`. make alone has none."""


def header_text(answers: Mapping[str, bool], release: str) -> str:
    """The header with `answers` of the kernel `release`: a macro that is 1 for each yes, a comment for each no."""
    lines = [f"#define {name} 1" if yes else f"/* #undef {name} */" for name, yes in answers.items()]
    return "\n".join([f"/* What Linux {release} has; made by kbuildpy. */", *_GUARD, *lines, "", "#endif", ""])


def kbuild_variables(answers: Mapping[str, bool], folder: str) -> dict[str, str]:
    """Variables for make: `y` for each yes, as in `drv-$(HAVE_X) += x.o`; none for a no. And the header's folder."""
    return {VARIABLE: folder, **{name: "y" for name, yes in answers.items() if yes}}


_GUARD = ("#ifndef KERNEL_PROBES_H", "#define KERNEL_PROBES_H", "")
