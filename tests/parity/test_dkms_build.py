# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy build` of a directory with a dkms.conf: that is done, for the kernels that it does not leave out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from tests.support.builds import collect, kbuildpy, listing, make
from tests.support.kernel_trees import trees, usual_tree

pytestmark = pytest.mark.parity

SOURCE = """#include <linux/module.h>
static int __init drv_init(void) { pr_info("%d\\n", VALUE); return 0; }
static void __exit drv_exit(void) { }
module_init(drv_init);
module_exit(drv_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("with a value");
"""
KBUILD = "obj-m := drv.o\nVALUE ?= 1\nccflags-y := -DVALUE=$(VALUE)\n"
HEAD = (
    'PACKAGE_NAME=p\nPACKAGE_VERSION=1\nBUILT_MODULE_NAME=drv\nDEST_MODULE_LOCATION=/updates\nMAKE="{make}"\n{more}\n'
)
PLACE = "$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build"
PATCH = """--- a/drv.c
+++ b/drv.c
@@ -6,2 +6,2 @@
 MODULE_LICENSE("GPL");
-MODULE_DESCRIPTION("with a value");
+MODULE_DESCRIPTION("patched");
"""


def write(place: Path, make: str = "", more: str = "", *, below: str = ".") -> Path:
    """A package at `place`; the directory itself."""
    (place / below).mkdir(parents=True, exist_ok=True)
    (place / below / "drv.c").write_text(SOURCE)
    (place / below / "Kbuild").write_text(KBUILD)
    (place / "dkms.conf").write_text(HEAD.format(make=make, more=more))
    return place


def build(place: Path, *words: str, kernel: Sequence[str] = ()) -> Completed:
    """`kbuildpy build` for one kernel."""
    return kbuildpy("build", place, "-k", *(kernel or [str(usual_tree().objects)]), *words)


def ko(place: Path, name: str = "drv.ko") -> bytes:
    """The module that was built."""
    return (place / "build" / usual_tree().release / name).read_bytes()


def test_a_make_line_of_kbuild_alone_gives_directory_and_variables(tmp_path: Path) -> None:
    line = f"make -j4 -C $kernel_source_dir M={PLACE}/src VALUE='7' KERNELRELEASE=$kernelver modules"
    place = write(tmp_path / "a", line, below="src")
    oracle = make(usual_tree(), place / "src", ["VALUE=7"])
    assert oracle.returncode == 0, oracle.error_text
    expected = collect(place / "src")
    place.rename(tmp_path / "made")
    write(place, line, below="src")
    before = listing(place)
    done = build(place)
    assert done.returncode == 0, done.error_text
    assert collect(place / "build" / usual_tree().release) == expected
    assert listing(place) == before
    assert "as it stands" not in done.text


@pytest.mark.sweep
def test_a_variable_of_the_call_wins_and_no_dkms_leaves_all_out(tmp_path: Path) -> None:
    place = write(tmp_path / "a", f"make -C $kernel_source_dir M={PLACE} VALUE=7")
    modules = []
    for words in (["VALUE=8"], ["--no-dkms"], ["--no-dkms", "VALUE=8"]):
        assert build(place, *words).returncode == 0
        modules.append(ko(place))
    assert modules[0] == modules[2]
    assert modules[0] != modules[1]


@pytest.mark.parametrize(
    "line",
    [
        f"make -C $kernel_source_dir M={PLACE} modules && true",
        pytest.param("make -f other.mk KDIR=$kernel_source_dir", marks=pytest.mark.sweep),
    ],
)
def test_a_make_line_that_does_more_is_run_as_it_stands_in_a_copy(line: str, tmp_path: Path) -> None:
    place = write(tmp_path / "a", line)
    (place / "other.mk").write_text("all:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR) modules\n")
    before = listing(place)
    done = build(place)
    assert done.returncode == 0, done.error_text
    assert "MAKE does more than call Kbuild: it is run as it stands, in a copy" in done.text
    assert listing(place) == before
    installed = kbuildpy("install", place, "-k", str(usual_tree().objects), "--root", tmp_path / "root")
    assert [path.name for path in (tmp_path / "root").rglob("drv.ko*")] == ["drv.ko"], installed.error_text
    # a command that leaves what the kernel does not take is no success
    good, bad = tmp_path / "good.ko", tmp_path / "bad.ko"
    good.write_bytes(ko(place))
    bad.write_bytes(ko(place).replace(b" SMP ", b" SMQ "))
    write(place, f"true && cp {good} drv.ko")
    [result] = map(json.loads, build(place, "--format", "json").text.splitlines())
    assert (result["name"], result["built"], result["error"]) == ("drv", True, None)
    assert Path(result["file"]).read_bytes() == good.read_bytes()
    write(place, f"true && cp {bad} drv.ko")
    done = build(place)
    assert done.returncode == 1
    assert f"p/1: {usual_tree().release} would refuse drv.ko: " in done.error_text
    assert build(place, "CHECK=0").returncode == 0


def test_a_command_that_fails_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    place = write(tmp_path / "a", "true && echo 'error: it is so' && false")
    done = build(place)
    assert done.returncode == 1
    [log] = place.rglob("make.log")
    assert "p/1: its build fails (status 1)\n" in done.error_text
    assert f"\nerror: it is so\n  see {log}" in done.error_text
    result = json.loads(build(place, "--format", "json").text.splitlines()[-1])
    assert (result["built"], result["error"]) == (False, "the build of p/1 fails")


def test_a_module_that_was_not_built_is_no_success(tmp_path: Path) -> None:
    place = write(tmp_path / "a", "true && true")
    done = build(place)
    assert done.returncode == 1
    assert "drv.ko was not built" in done.error_text


def test_a_module_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    place = write(tmp_path / "a", f"true && ln -s {tmp_path}/secret drv.ko")
    done = build(place)
    assert done.returncode == 1
    assert "leads out of the build directory" in done.error_text
    assert not (place / "build" / usual_tree().release / "drv.ko").exists()


def test_patches_and_pre_build_work_in_a_copy(tmp_path: Path) -> None:
    more = "PATCH[0]=a.patch\nPATCH[1]=b.patch\nPATCH_MATCH[1]='^1\\.'\nPRE_BUILD='pre.sh 5'"
    place = write(tmp_path / "a", f"make -C $kernel_source_dir M={PLACE} modules", more)
    (place / "patches").mkdir()
    (place / "patches/a.patch").write_text(PATCH)
    (place / "pre.sh").write_text("#!/bin/sh\necho 'VALUE := '$1 > more.mk\necho 'include $(src)/more.mk' >> Kbuild\n")
    (place / "pre.sh").chmod(0o755)
    before = listing(place)
    done = build(place)
    assert done.returncode == 0, done.error_text
    assert b"description=patched" in ko(place)
    assert listing(place) == before
    (place / "patches/a.patch").write_text(PATCH.replace("with a", "without a"))
    done = build(place)
    assert done.returncode == 1
    assert "the patch a.patch does not apply" in done.error_text


def test_kernels_that_a_package_is_not_for_are_left_out_with_the_reason(tmp_path: Path) -> None:
    if len(trees()) < 2:
        pytest.skip("one kernel tree only")
    least, most = usual_tree(), max(trees(), key=lambda tree: tree.version)
    line = ".".join(map(str, most.version))
    place = write(tmp_path / "a", "", f"BUILD_EXCLUSIVE_KERNEL_MIN={line}")
    done = build(place, kernel=["all"])
    reason = f"BUILD_EXCLUSIVE_KERNEL_MIN={line}: {least.release} is older"
    assert f"kbuildpy: {least.release}: left out by {place}/dkms.conf: {reason}" in done.error_text
    assert [path.parent.name for path in place.rglob("drv.ko")] == [most.release]
    done = build(place)
    assert done.returncode == 1
    assert f"its dkms.conf leaves out every kernel: {reason}" in done.error_text
