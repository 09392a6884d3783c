# SPDX-License-Identifier: GPL-2.0-only
"""What people have reported of dkms, replayed with dkms and with kbuildpy. (More of them: `test_dkms_system`, and
dkms-project/dkms#361 in `test_dkms_machine`.)

- dkms-project/dkms#409: a module that the kernel has by now (OBSOLETE_BY) is built, and then not installed; DKMS says
  that it is.
- dkms-project/dkms#605: in a chroot, a call without -k is for the kernel of the host, which is not there.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.dkms_peer import dkms, ours
from tests.support.kernel_trees import usual_tree

pytestmark = [pytest.mark.parity, pytest.mark.skipif(os.geteuid() != 0, reason="dkms wants root")]

ARCH = os.uname().machine
CONF = "PACKAGE_NAME=p\nPACKAGE_VERSION=1\nBUILT_MODULE_NAME=drv\nDEST_MODULE_LOCATION=/updates\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine with a package that is built for its one kernel, which is not the one that runs."""
    release, source = usual_tree().release, tmp_path / "src/p-1"
    source.mkdir(parents=True)
    (source / "dkms.conf").write_text(CONF)
    (source / "drv.c").touch()
    (tmp_path / "modules" / release).mkdir(parents=True)
    built = tmp_path / "dkms/p/1" / release / ARCH / "module/drv.ko"
    built.parent.mkdir(parents=True)
    built.write_text("built")
    (tmp_path / "dkms/p/1/source").symlink_to(source)
    return tmp_path


def installed(home: Path) -> list[Path]:
    """The modules that the kernel has."""
    return sorted((home / "modules").rglob("*.ko*"))


def test_a_package_that_the_kernel_has_made_obsolete_is_not_built_and_not_called_installed(home: Path) -> None:
    release = usual_tree().release
    with (home / "src/p-1/dkms.conf").open("a") as file:
        file.write("OBSOLETE_BY=5.0\nAUTOINSTALL=yes\n")
    assert dkms("install", "p/1", "-k", release, home=home).returncode == 0
    assert dkms("status", home=home).text.startswith(f"p/1, {release}, {ARCH}: installed"), "dkms no longer says so"
    assert installed(home) == []
    assert dkms("remove", "p/1", "--all", home=home).returncode == 0

    assert ours("add", "p/1", home=home).returncode == 0
    done = ours("install", "p/1", "-k", release, home=home)
    assert (done.returncode, "OBSOLETE_BY=5.0: the kernel has the modules itself" in done.error_text) == (77, True)
    assert ours("autoinstall", "-k", release, home=home).returncode == 0
    assert ours("status", home=home).text == dkms("status", home=home).text == "p/1: added\n"


def test_without_a_kernel_a_call_is_for_those_that_are_installed(home: Path) -> None:
    release, running = usual_tree().release, os.uname().release
    if running == release:
        pytest.skip("the kernel runs for which the test builds")
    done = dkms("install", "p/1", home=home)
    assert done.returncode == 1
    assert f"Your kernel headers for kernel {running} cannot be found" in done.error_text
    done = ours("install", "p/1", home=home)
    assert done.returncode == 0, done.error_text
    assert dkms("status", home=home).text == f"p/1, {release}, {ARCH}: installed\n"
    # the running one, where it is installed
    (home / "modules" / running).mkdir()
    done = ours("build", "p/1", home=home)
    assert (done.returncode, f"no headers for kernel {running}" in done.error_text) == (1, True)
