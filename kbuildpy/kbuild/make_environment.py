# SPDX-License-Identifier: GPL-2.0-only
"""The environment in which GNU make is asked.

GNU make turns every environment variable into a makefile variable, so an answer depends on the whole environment; only
names that certainly say nothing to a build are left out of a cache's key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Where a terminal, a session or a shell is, says nothing about a build. (PWD: set by us for every program.)
_SESSION_VARIABLES = re.compile(
    r"^(_|PWD|OLDPWD|SHLVL|TERM|TERM_.*|COLORTERM|COLUMNS|LINES|DISPLAY|WAYLAND_DISPLAY|WINDOWID|XAUTHORITY"
    r"|SSH_.*|TMUX.*|STY|LS_COLORS|HISTFILE|HISTSIZE|PS1|PS2|PROMPT_COMMAND|LESS.*|PAGER|EDITOR|VISUAL|MAIL"
    r"|DBUS_SESSION_BUS_ADDRESS|XDG_SESSION.*|XDG_RUNTIME_DIR|XDG_SEAT|XDG_VTNR|INVOCATION_ID|JOURNAL_STREAM"
    r"|KBUILD_SIGN_PIN|PYTEST_CURRENT_TEST|VIRTUAL_ENV_PROMPT|MAKELEVEL|MFLAGS|MAKEFLAGS|MAKEOVERRIDES|GNUMAKEFLAGS)$"
)

# What Kbuild never expects in its environment: a surrounding make's own state, and the loop guard of the
# top Makefile (a build started from inside a kernel build would take itself for its own sub-make). And a passphrase,
# which no answer depends on.
_NEVER_PASSED = (
    *("MAKELEVEL", "MFLAGS", "MAKEFLAGS", "MAKEOVERRIDES", "GNUMAKEFLAGS", "sub_make_done"),
    "KBUILD_SIGN_PIN",
)


def base_environment(environ: Mapping[str, str], directory: str) -> dict[str, str]:
    """`environ` without a surrounding make's state, with PWD naming `directory`."""
    env = {name: value for name, value in environ.items() if name not in _NEVER_PASSED}
    env["PWD"] = directory
    env.pop("OLDPWD", None)
    return env


def asks_anew(variables: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether the value of one of make's `variables`, or of one in `environ`, asks the shell or the file system when
    make expands it: then an answer can change while nothing that it was made from does."""
    values = [*variables.values(), *(value for _, value in environment_key(environ))]
    return any("$" in value and _ASKS.search(value) for value in values)


_ASKS = re.compile(r"\$[({]\s*(shell|wildcard|realpath|file)\b")


def environment_key(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """What of `environ` an answer may depend on, sorted."""
    return sorted((name, value) for name, value in environ.items() if not _SESSION_VARIABLES.match(name))
