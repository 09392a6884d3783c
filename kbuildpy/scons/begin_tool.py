# SPDX-License-Identifier: GPL-2.0-only
"""What the tool does in each construction environment, besides its builders."""

from __future__ import annotations

from typing import Any

from kbuildpy.scons.cache import cache_class
from kbuildpy.scons.help import describe_variables
from kbuildpy.scons.sconsign import use_database
from kbuildpy.scons.variables import mark_tool_choices


def begin_tool(env: Any) -> None:
    """Keep SCons' notes in a database of ours, let `env.CacheDir()` take addresses of servers, and tell `scons --help`
    of Kbuild's variables."""
    use_database()
    mark_tool_choices(env)
    env["CACHEDIR_CLASS"] = cache_class(env.validate_CacheDir_class())
    describe_variables(env)
