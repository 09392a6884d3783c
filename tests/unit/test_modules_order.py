# SPDX-License-Identifier: GPL-2.0-only
"""Every modules.order as its recipes would write it (scripts/Makefile.build: cmd_modules_order, cmd_gen_order)."""

from __future__ import annotations

import pytest

from kbuildpy.kbuild.modules_order import in_order, order_files


def record(target: str, *lines: str, rule: str = "modules_order") -> tuple[str, list[dict[str, str]]]:
    command = f"{{ {' '.join(f'{line};' for line in lines)} :; }} > {target}"
    return target, [{"rule": rule, "target": target, "command": command}]


@pytest.mark.parametrize("rule", ["modules_order", "gen_order"])
def test_follows_subdirectories_where_they_are_descended_to(rule: str) -> None:
    records = dict(
        [
            record("modules.order", "echo b.ko", "cat sub/modules.order", "echo a.ko", rule=rule),
            record("sub/modules.order", "cat sub/deep/modules.order", "echo sub/c.ko", rule=rule),
            record("sub/deep/modules.order", "echo sub/deep/echo.ko", rule=rule),
        ]
    )
    top, *nested = order_files(records, "modules.order")
    assert top == ("modules.order", "b.ko\nsub/deep/echo.ko\nsub/c.ko\na.ko\n")
    assert dict(nested) == {
        "sub/modules.order": "sub/deep/echo.ko\nsub/c.ko\n",
        "sub/deep/modules.order": "sub/deep/echo.ko\n",
    }


def test_the_recipe_of_another_rule_is_not_read() -> None:
    records = dict([record("modules.order", "echo a.ko", rule="copy")])
    assert order_files(records, "modules.order") == (("modules.order", ""),)


def test_modules_come_in_the_order_of_the_list() -> None:
    assert in_order(["a.o", "sub/c.o", "b.o"], "b.ko\nsub/c.ko\na.ko\n") == ["b.o", "sub/c.o", "a.o"]


def test_the_directorys_own_list_comes_first_and_once() -> None:
    """Make comes to the lists of subdirectories first."""
    records = dict(
        [
            record("/m/sub/modules.order", "echo /m/sub/c.ko"),
            record("/m/modules.order", "cat /m/sub/modules.order"),
            record("/m/not-modules.order", "echo /m/a.ko"),
        ]
    )
    assert order_files(records, "/m/modules.order") == (
        ("/m/modules.order", "/m/sub/c.ko\n"),
        ("/m/sub/modules.order", "/m/sub/c.ko\n"),
    )
