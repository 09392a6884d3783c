# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy build` prints where nothing is wrong: nothing with -q, and that nothing was to do without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import trees

pytestmark = pytest.mark.parity

CONF = "PACKAGE_NAME=drv\nPACKAGE_VERSION=1\nBUILT_MODULE_NAME=drv\nDEST_MODULE_LOCATION=/extra\nAUTOINSTALL=yes\n"
UNNAMED = {"KDIR": "", "KERNELRELEASE": ""}


@pytest.mark.parametrize("conf", ["", CONF], ids=["Kbuild", "dkms.conf"])
def test_a_quiet_build_prints_nothing_unless_something_is_wrong(conf: str, tmp_path: Path) -> None:
    sources = {"Kbuild": "obj-m := drv.o\n", "drv.c": module()} | ({"dkms.conf": conf} if conf else {})
    place = tmp_path / "drv"
    write_sources(sources, place)
    # (no kernel is named: which one was taken is a note)
    quiet = kbuildpy("build", place, "-q", env=UNNAMED)
    assert (quiet.returncode, quiet.text, quiet.error_text) == (0, "", "")
    again = kbuildpy("build", place, env=UNNAMED)
    assert (again.returncode, again.text) == (0, f"scons: `{place}' is up to date.\n")
    assert again.text == kbuildpy("build", place, env=UNNAMED).text
    write_sources({"drv.c": f"#warning mind this\n{module()}"}, place)
    assert "mind this" in kbuildpy("build", place, "-q", env=UNNAMED).error_text


def test_a_vmlinux_that_the_headers_lack_is_not_told_quietly(tmp_path: Path) -> None:
    write_sources({"Kbuild": "obj-m := drv.o\n", "drv.c": module()}, tmp_path / "drv")
    tree = next((tree for tree in trees() if not (tree.objects / "vmlinux").exists()), None)
    if tree is None:
        pytest.skip("takes headers without vmlinux")
    quiet = kbuildpy("build", tmp_path / "drv", "-q", "-k", tree.objects)
    assert (quiet.returncode, quiet.text, quiet.error_text) == (0, "", "")
    loud = kbuildpy("build", tmp_path / "drv", "-o", tmp_path / "out", "-k", tree.objects)
    if tree.version >= (5, 11):
        assert "Skipping BTF generation" in loud.error_text
