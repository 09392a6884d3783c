# SPDX-License-Identifier: GPL-2.0-only
"""Which variables of a construction environment are a user's wish for Kbuild, and which are only SCons' defaults."""

from __future__ import annotations

from typing import Any

import pytest
from SCons.Environment import Environment

from kbuildpy.errors import UsageError
from kbuildpy.scons import generate
from kbuildpy.scons.flags import Flags, flags_of
from kbuildpy.scons.variables import environment_variables, has_flags, make_variables


def late(*tools: Any, **variables: Any) -> Any:
    env = Environment(tools=tools, **variables)
    env.Tool(generate)
    return env


def changed(env: Any, **variables: Any) -> Any:
    env.Replace(**variables)
    return env


@pytest.mark.parametrize("tools", [[generate], ["default", generate], [generate, "default"]])
def test_what_scons_tools_choose_is_no_wish(tools: list[Any]) -> None:
    env = Environment(tools=tools)
    assert environment_variables(env) == environment_variables(env.Clone()) == {}
    assert not has_flags(env, {})
    assert flags_of(env, {}) == flags_of(env, {"CCFLAGS": ""}) == Flags((), (), ())


@pytest.mark.parametrize(
    ("env", "wish"),
    [
        (Environment(tools=["default", generate], CC="gcc"), {"CC": "gcc"}),
        (changed(Environment(tools=["default", generate]), CC="gcc"), {"CC": "gcc"}),
        (Environment(tools=["default", generate]).Clone(CC="cc"), {"CC": "cc"}),
        (changed(Environment(tools=[generate]), CC="gcc"), {"CC": "gcc"}),
        (Environment(tools=[generate, "default"], CC="gcc-13"), {"CC": "gcc-13"}),
        (late("default", CC="clang", W=1), {"CC": "clang", "W": 1}),
        (Environment(tools=[generate], CROSS_COMPILE="$TRIPLE-", TRIPLE="a-b"), {"CROSS_COMPILE": "a-b-"}),
        (Environment(tools=[generate], EXTRA_CFLAGS="-I$(src)", KBUILD_OUT="x"), {"EXTRA_CFLAGS": "-I$(src)"}),
    ],
    ids=range(8),
)
def test_what_the_user_sets_is_one(env: Any, wish: dict[str, Any]) -> None:
    assert environment_variables(env) == environment_variables(env.Clone()) == wish


@pytest.mark.parametrize("place", [0, 1])
def test_a_passphrase_is_refused_where_others_can_read_it(place: int) -> None:
    given: list[dict[str, str]] = [{"V": "1"}, {"V": "1"}]
    assert make_variables(*given) == {"V": "1"}
    given[place]["KBUILD_SIGN_PIN"] = "secret-1234"
    with pytest.raises(UsageError, match="KBUILD_SIGN_PIN= on a command line") as error:
        make_variables(*given)
    assert "secret-1234" not in f"{error.value} {error.value.hint}"
