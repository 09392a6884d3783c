# SPDX-License-Identifier: GPL-2.0-only
"""Makes BTF reproducible: pahole runs in one thread, because several number types in the order in which they finish.

Later kernels do the same where KBUILD_BUILD_TIMESTAMP is set (scripts/Makefile.btf).
"""

from __future__ import annotations

import re
from dataclasses import replace

from kbuildpy.kbuild.tree_answer import TreeAnswer

# The command of pahole up to the module's file, its option for threads, and the feature that numbers types in order
# whatever the number of threads.
_PAHOLE = re.compile(r" -J [^;]*?--btf_base ")
_THREADS = re.compile(r"(?<!\S)(?:-j\d*|--jobs(?:=\d+)?)(?:\s+|$)")
_ORDERED = "reproducible_build"


def without_btf_threads(answer: TreeAnswer) -> TreeAnswer:
    """`answer` without pahole's option for threads, unless pahole has the option `reproducible_build`.

    Before 6.9 Kbuild always passes the option for threads (scripts/pahole-flags.sh), and for pahole 1.26 also where
    KBUILD_BUILD_TIMESTAMP is set (scripts/Makefile.btf).
    """
    link = tuple(
        replace(step, command=_PAHOLE.sub(lambda match: _serial(match[0]), step.command))
        if step.rule == "btf_ko"
        else step
        for step in answer.link
    )
    flags = answer.environment.get("PAHOLE_FLAGS")
    environment = answer.environment if flags is None else {**answer.environment, "PAHOLE_FLAGS": _serial(flags)}
    return replace(answer, link=link, environment=environment)


def _serial(text: str) -> str:
    return text if _ORDERED in text else _THREADS.sub("", text)
