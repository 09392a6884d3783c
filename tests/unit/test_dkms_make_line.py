# SPDX-License-Identifier: GPL-2.0-only
"""Which MAKE lines of a dkms.conf only call Kbuild: the others are run as they stand, so a mistake is one of bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.dkms.make_line import KbuildMake, kbuild_call

TREE = Path("/usr")
BUILD = Path("/var/lib/dkms/p/0~1/build")
CALL = f"make -C /usr M={BUILD}"


@pytest.mark.parametrize(
    ("command", "below", "variables"),
    [
        ("", "", {}),
        (CALL, "", {}),
        (f"{CALL} modules", "", {}),
        (f"'make' -j8 -C/usr SUBDIRS={BUILD}/ modules", "", {}),
        (f"make --directory=/usr/../usr M={BUILD}/src/mod -s", "src/mod", {}),
        (f"{CALL} A=1 B='two words' C=\"x\"y KERNELRELEASE=6.1", "", {"A": "1", "B": "two words", "C": "xy"}),
        (f"{CALL} A={BUILD}/x", "", {"A": f"{BUILD}/x"}),
    ],
)
def test_a_call_of_kbuild_is_taken_apart(command: str, below: str, variables: dict[str, str]) -> None:
    assert kbuild_call(command, tree=TREE, build=BUILD) == KbuildMake(below, variables)


@pytest.mark.parametrize(
    "command",
    [
        f"{CALL}; true",
        f"{CALL} && true",
        f"{CALL} > log",
        f"({CALL})",
        f"{CALL} A=$B",
        f"{CALL} A=`date`",
        f"{CALL} A='$(shell date)'",
        f"{CALL} # modules",
        f"{CALL} A=~",
        f"{CALL}\nfalse",
        f"{CALL} all",
        f"{CALL} -f x.mk",
        f"{CALL} modules_install",
        f"{CALL} 'A",
        f"A=1 {CALL}",
        f"cmake -C /usr M={BUILD}",
        f"make M={BUILD}",
        f"make -C /usr -C lib M={BUILD}",
        f"make -C /etc M={BUILD}",
        f"make -C . M={BUILD}",
        "make -C /usr",
        "make -C /usr M=src",
        "make -C /usr M=/var/lib/dkms/p/0~1",
        f"make -C /usr M={BUILD}/../../../q",
        f"make -C /usr M={BUILD}er",
    ],
)
def test_what_does_more_is_not(command: str) -> None:
    assert kbuild_call(command, tree=TREE, build=BUILD) is None
