# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms --try`: a kernel in QEMU loads modules before they count as built, and what fails changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.dkms_peer import ours
from tests.support.kernel_trees import usual_tree

pytestmark = [pytest.mark.vm, pytest.mark.sweep]

ARCH = os.uname().machine
SOURCE = """#include <linux/module.h>
#include <linux/slab.h>
{declared}
static int __init drv_init(void) {{ {init} }}
static void __exit drv_exit(void) {{ }}
module_init(drv_init);
module_exit(drv_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("of a package");
MODULE_VERSION("{version}");
"""
GOOD, WARNS, NO_DEVICE = "return 0;", "WARN_ON(1); return 0;", "return -ENODEV;"


def write(home: Path, name: str, version: str, init: str, more: str = "", declared: str = "") -> None:
    """A package with one module."""
    source = home / f"src/{name}-{version}"
    source.mkdir(parents=True)
    (source / f"{name}.c").write_text(SOURCE.format(init=init, version=version, declared=declared))
    (source / "Makefile").write_text(f"obj-m := {name}.o\n")
    head = f"PACKAGE_NAME={name}\nPACKAGE_VERSION={version}\nDEST_MODULE_LOCATION=/updates\nAUTOINSTALL=yes\n"
    (source / "dkms.conf").write_text(f"{head}BUILT_MODULE_NAME={name}\n{more}\n")


def installed(home: Path) -> dict[str, bytes]:
    """The modules that the kernel has."""
    return {path.name: path.read_bytes() for path in (home / "modules" / usual_tree().release).rglob("*.ko*")}


def test_a_module_that_warns_in_the_kernel_is_not_installed(tmp_path: Path) -> None:
    release = usual_tree().release
    (tmp_path / "modules" / release / "updates/dkms").mkdir(parents=True)
    (tmp_path / "modules" / release / "updates/dkms/p.ko").write_text("what was there")
    write(tmp_path, "p", "2", WARNS)
    done = ours("install", "p/2", "-k", release, "--try", home=tmp_path)
    assert done.returncode == 10, done.text
    assert f"p/2: p.ko fails in {release}: the kernel warned: WARNING" in done.error_text
    assert "p.c:4 drv_init" in done.error_text
    assert installed(tmp_path) == {"p.ko": b"what was there"}
    added, failed = ours("status", home=tmp_path).text.splitlines()
    assert (added, failed.split(" (")[0]) == ("p/2: added", f"p/2, {release}, {ARCH}: failed")
    assert "the kernel warned" in Path(failed.partition("(see ")[2].rstrip(")")).read_text()


def test_what_a_kernel_takes_is_installed_with_what_it_needs(tmp_path: Path) -> None:
    release = usual_tree().release
    (tmp_path / "modules" / release).mkdir(parents=True)
    exports = "int base_value(void); int base_value(void) { return 5; } EXPORT_SYMBOL_GPL(base_value);"
    write(tmp_path, "base", "1", GOOD, "POST_BUILD=post.sh", declared=exports)
    script = tmp_path / "src/base-1/post.sh"
    script.write_text(f"#!/bin/sh\ncp Module.symvers {tmp_path}/base.symvers\n")
    script.chmod(0o755)
    # (a MAKE line that is run as it stands is checked with what it needs, too)
    symbols = f"KBUILD_EXTRA_SYMBOLS={tmp_path}/base.symvers"
    make = f"MAKE='make -C $kernel_source_dir M=$dkms_tree/user/1/build {symbols} && true'"
    needs = f"BUILD_DEPENDS=base\n{make}"
    write(tmp_path, "user", "1", "return base_value() - 5;", needs, declared="int base_value(void);")
    write(tmp_path, "nodev", "1", NO_DEVICE)
    for name in ("base", "user", "nodev"):
        assert ours("add", f"{name}/1", home=tmp_path).returncode == 0
    done = ours("autoinstall", "-k", release, "--try", home=tmp_path)
    assert done.returncode == 0, done.error_text
    assert sorted(installed(tmp_path)) == ["base.ko", "nodev.ko", "user.ko"]
    said = {path.parents[4].name: path.read_text() for path in (tmp_path / "dkms").rglob("try.log")}
    assert said["user"] == f"user: loaded and removed, in {release}\n"
    assert "ENODEV" in said["nodev"]


def test_what_was_built_without_a_trial_is_tried_when_it_is_installed(tmp_path: Path) -> None:
    release = usual_tree().release
    (tmp_path / "modules" / release).mkdir(parents=True)
    write(tmp_path, "p", "2", WARNS)
    assert ours("build", "p/2", "-k", release, home=tmp_path).returncode == 0
    assert ours("install", "p/2", "-k", release, "--try", home=tmp_path).returncode == 10
    assert installed(tmp_path) == {}
    assert [line.split(": ")[1][:6] for line in ours("status", home=tmp_path).text.splitlines()] == ["built", "failed"]
    assert ours("install", "p/2", "-k", release, home=tmp_path).returncode == 0
    assert ours("status", home=tmp_path).text == f"p/2, {release}, {ARCH}: installed\n"
