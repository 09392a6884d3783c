# SPDX-License-Identifier: GPL-2.0-only
"""The environment in which GNU make runs, and the part of it that belongs into a cache's key.

GNU make turns every environment variable into a makefile variable, so an answer depends on the whole environment. A
cache's key leaves out only variables that no build reads, and those that batch systems set, which are looked at one by
one (`transient_environment`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kbuildpy.kbuild.transient_environment import is_transient

# Variables about the terminal, the session or the shell do not change a build. PWD is among them because
# `base_environment` sets it.
_SESSION_VARIABLES = re.compile(
    r"^(_|PWD|OLDPWD|SHLVL|TERM|TERM_.*|COLORTERM|COLUMNS|LINES|DISPLAY|WAYLAND_DISPLAY|WINDOWID|XAUTHORITY"
    r"|SSH_.*|TMUX.*|STY|LS_COLORS|HISTFILE|HISTSIZE|PS1|PS2|PROMPT_COMMAND|LESS.*|PAGER|EDITOR|VISUAL|MAIL"
    r"|DBUS_SESSION_BUS_ADDRESS|XDG_SESSION.*|XDG_RUNTIME_DIR|XDG_SEAT|XDG_VTNR|INVOCATION_ID|JOURNAL_STREAM"
    r"|KBUILD_SIGN_PIN|KBUILDPY_SHARED_CACHE|KBUILDPY_CACHE_KEY"
    r"|PYTEST_CURRENT_TEST|VIRTUAL_ENV_PROMPT|MAKELEVEL|MFLAGS|MAKEFLAGS|MAKEOVERRIDES|GNUMAKEFLAGS)$"
)

# A surrounding make's state must not reach Kbuild, nor the loop guard of the top Makefile (sub_make_done): inside a
# kernel build, the top Makefile would run as if it were its own sub-make. The passphrase is removed because no answer
# depends on it, and so is the address of a shared cache, which may hold a password.
_NEVER_PASSED = (
    *("MAKELEVEL", "MFLAGS", "MAKEFLAGS", "MAKEOVERRIDES", "GNUMAKEFLAGS", "sub_make_done"),
    *("KBUILD_SIGN_PIN", "KBUILDPY_SHARED_CACHE", "KBUILDPY_CACHE_KEY"),
)


def base_environment(environ: Mapping[str, str], directory: str) -> dict[str, str]:
    """`environ` without a surrounding make's state and without the passphrase; PWD is `directory`."""
    env = {name: value for name, value in environ.items() if name not in _NEVER_PASSED}
    env["PWD"] = directory
    env.pop("OLDPWD", None)
    return env


def asks_anew(variables: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether make, when it expands the value of one of `variables` or of one in `environ`, asks the shell or the file
    system. Then an answer can change although no file that it depends on changes."""
    values = [*variables.values(), *(value for _, value in environment_key(environ))]
    return any("$" in value and _ASKS.search(value) for value in values)


_ASKS = re.compile(r"\$[({]\s*(shell|wildcard|realpath|file)\b")


def environment_key(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The variables of `environ` that an answer may depend on, as sorted pairs of name and value, without transient
    ones."""
    return sorted(
        (name, value) for name, value in environ.items() if not (_SESSION_VARIABLES.match(name) or is_transient(name))
    )
