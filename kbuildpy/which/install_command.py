# SPDX-License-Identifier: GPL-2.0-only
"""What an `install` command of modprobe.d does, as far as that can be told without running it."""

from __future__ import annotations

import re
import shlex

from kbuildpy.kernel.shell_pattern import with_underscores
from kbuildpy.which.answer import OK, STOP, UNKNOWN

_NOTHING = re.compile(r"\s*(?:(?:/usr)?/s?bin/)?(?:true|false|:|exit(?:\s+\d+)?)\s*(?:$|[#;])")


def loads_nothing(command: str) -> bool:
    """Whether a command only ends, as `/bin/false` does."""
    return _NOTHING.match(command) is not None


def command_state(what: str, command: str, module: str) -> tuple[str, str, str]:
    """The state of a step, its text and its hint, for a `command` that is run in place of loading `module`; `what` says
    where it comes from."""
    name = shlex.quote(module)
    if loads_nothing(command):
        return STOP, what, f"take that line out, or load the module past it: modprobe --ignore-install {name}"
    if _loads_itself(command, module):
        return OK, f"{what}, which loads the module itself", ""
    return UNKNOWN, f"{what}: what that does is not known", f"to load the module past it: modprobe -i {name}"


def _loads_itself(command: str, name: str) -> bool:
    words = re.findall(r"[^\s;&|()]+", command)
    past = {"-i", "--ignore-install"} & set(words)
    return bool(past) and any(word.endswith("modprobe") for word in words) and name in map(with_underscores, words)
