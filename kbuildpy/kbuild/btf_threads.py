# SPDX-License-Identifier: GPL-2.0-only
"""The same BTF every time: one thread of pahole, because threads number types in the order in which they finish.

Kbuild asks for that where KBUILD_BUILD_TIMESTAMP is set, in later kernels (scripts/Makefile.btf).
"""

from __future__ import annotations

import re
from dataclasses import replace

from kbuildpy.kbuild.tree_answer import TreeAnswer

# pahole as Kbuild starts it, up to the file; its option for threads; and the feature that makes those harmless.
_PAHOLE = re.compile(r" -J [^;]*?--btf_base ")
_THREADS = re.compile(r"(?<!\S)(?:-j\d*|--jobs(?:=\d+)?)(?:\s+|$)")
_ORDERED = "reproducible_build"


def without_btf_threads(answer: TreeAnswer) -> TreeAnswer:
    """`answer` where pahole runs in one thread, unless it has the option that makes threads number types in order.

    Before 6.9 Kbuild always gives it threads (scripts/pahole-flags.sh), and with pahole 1.26 a time stamp does not
    take them away (scripts/Makefile.btf).
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
