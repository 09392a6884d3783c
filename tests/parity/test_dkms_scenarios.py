# SPDX-License-Identifier: GPL-2.0-only
"""What people have reported of dkms, replayed with dkms and with kbuildpy. (In a whole system: `test_dkms_system`.)

- dkms-project/dkms#361: with a key that has a passphrase, modules stay unsigned, and the build succeeds.
- dkms-project/dkms#409: a module that the kernel has by now (OBSOLETE_BY) is built, and then not installed; DKMS says
  that it is.
- dkms-project/dkms#605: in a chroot, a call without -k is for the kernel of the host, which is not there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.own_command import own_command
from kbuildpy.run import run
from kbuildpy.signing.trailer import split_signature
from tests.support.dkms_peer import dkms
from tests.support.kernel_trees import usual_tree

pytestmark = [pytest.mark.parity, pytest.mark.skipif(os.geteuid() != 0, reason="dkms wants root")]

ARCH = os.uname().machine
SOURCE = """#include <linux/module.h>
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("does nothing");
"""
CONF = "PACKAGE_NAME=p\nPACKAGE_VERSION=1\nBUILT_MODULE_NAME=drv\nDEST_MODULE_LOCATION=/updates\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine with a package, and with one kernel, which is not the one that runs."""
    source = tmp_path / "src/p-1"
    source.mkdir(parents=True)
    (source / "drv.c").write_text(SOURCE)
    (source / "Makefile").write_text("obj-m := drv.o\n")
    (source / "dkms.conf").write_text(CONF)
    (tmp_path / "dkms").mkdir()
    (tmp_path / "modules" / usual_tree().release).mkdir(parents=True)
    return tmp_path


def ours(*words: str | Path, home: Path, variables: Sequence[str] = ()) -> Completed:
    """`kbuildpy dkms` with its trees below `home`."""
    trees = ("--dkmstree", home / "dkms", "--sourcetree", home / "src", "--installtree", home / "modules")
    command = own_command("dkms", *map(str, (*words, *trees, "--no-depmod")))
    return run(["env", "-u", "KBUILD_SIGN_PIN", *variables, *command], check=False)


def installed(home: Path) -> list[Path]:
    """The modules that the kernel has."""
    return sorted((home / "modules").rglob("*.ko*"))


def test_a_key_whose_passphrase_is_not_known_fails_the_build(home: Path) -> None:
    key, certificate = home / "mok.priv", home / "mok.der"
    words = ["-newkey", "rsa:2048", "-subj", "/CN=x", "-passout", "pass:secret"]
    run(["openssl", "req", "-new", "-x509", *words, "-keyout", key, "-outform", "DER", "-out", certificate])
    with (home / "src/p-1/dkms.conf").open("a") as file:
        file.write(f"MOK_SIGNING_KEY={key}\nMOK_CERTIFICATE={certificate}\n")
    release = usual_tree().release
    done = dkms("install", "p/1", "-k", release, home=home)
    assert done.returncode == 0, done.error_text
    [module] = installed(home)
    assert split_signature(module.read_bytes()) is None, "dkms signs it: the scenario is another one by now"
    assert dkms("remove", "p/1", "--all", home=home).returncode == 0

    done = ours("install", "p/1", "-k", release, home=home)
    assert done.returncode not in (0, 77)
    assert "passphrase" in done.error_text
    assert installed(home) == []
    done = ours("install", "p/1", "-k", release, home=home, variables=["KBUILD_SIGN_PIN=secret"])
    assert done.returncode == 0, done.error_text
    [module] = installed(home)
    assert split_signature(module.read_bytes()) is not None


def test_a_package_that_the_kernel_has_made_obsolete_is_not_built_and_not_called_installed(home: Path) -> None:
    release = usual_tree().release
    with (home / "src/p-1/dkms.conf").open("a") as file:
        file.write("OBSOLETE_BY=5.0\nAUTOINSTALL=yes\n")
    # (the build of dkms is not what is asked)
    built = home / "dkms/p/1" / release / ARCH / "module/drv.ko"
    built.parent.mkdir(parents=True)
    built.write_text("built")
    (home / "dkms/p/1/source").symlink_to(home / "src/p-1")
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
    done = dkms("build", "p/1", home=home)
    assert done.returncode == 1
    assert f"Your kernel headers for kernel {running} cannot be found" in done.error_text
    done = ours("install", "p/1", home=home)
    assert done.returncode == 0, done.error_text
    assert dkms("status", home=home).text == f"p/1, {release}, {ARCH}: installed\n"
    # the running one, where it is installed
    (home / "modules" / running).mkdir()
    done = ours("build", "p/1", home=home)
    assert (done.returncode, f"no headers for kernel {running}" in done.error_text) == (1, True)
