# SPDX-License-Identifier: GPL-2.0-only
"""Installing for several kernels, and for the running system, whose headers have no System.map."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kbuildpy.install.depmod import depmod_words
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.run import run
from tests.support.builds import kbuildpy
from tests.support.documents import ROOT
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import trees, usual_tree
from tests.support.scons_project import HEAD, SConsProject

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module directory that was built for one kernel of those that are installed."""
    place = tmp_path_factory.mktemp("one") / "drv"
    write_sources({"Kbuild": "obj-m := drv.o\n", "drv.c": module()}, place)
    done = kbuildpy("build", place, "-k", usual_tree().objects)
    assert done.returncode == 0, done.error_text
    return place


def installed(root: Path) -> list[str]:
    """The modules below `root`, from lib/modules on."""
    return sorted(str(path.relative_to(root / "lib/modules")) for path in root.rglob("*.ko*"))


def test_all_kernels_are_those_that_were_built_for(built: Path, tmp_path: Path) -> None:
    others = [tree.release for tree in trees() if tree != usual_tree()]
    if not others:
        pytest.skip("takes the headers of a second kernel")
    release = usual_tree().release
    for number, what in enumerate([built, built / "build" / release / "drv.ko"]):
        root = tmp_path / str(number)
        done = kbuildpy("install", what, "-k", "all", "--root", root)
        assert done.returncode == 0, done.error_text
        assert [name.split("/")[0] for name in installed(root)] == [release]
    left_out = kbuildpy("install", built, "-k", "all", "-n").error_text
    for other in others:
        assert f"{built}: no modules were built for {other}" in left_out
    # One that is named must be there; and one of all must be.
    assert kbuildpy("install", built, "-k", others[0], "--root", tmp_path / "named").returncode == 1
    write_sources({"Kbuild": "obj-m := drv.o\n"}, tmp_path / "none")
    done = kbuildpy("install", tmp_path / "none", "-k", "all", "--root", tmp_path / "root")
    assert done.returncode == 1
    assert "build first: kbuildpy build" in done.error_text
    assert not (tmp_path / "root").exists()


def test_the_running_system_gets_the_index_that_depmod_makes(built: Path, tmp_path: Path) -> None:
    tree = usual_tree()
    if os.geteuid() != 0 or (tree.objects / "System.map").exists():
        pytest.skip("takes root, and headers without System.map")
    folder = tmp_path / "modules"
    # A module of the same name that the kernel brings.
    own = folder / tree.release / "kernel/drv.ko"
    own.parent.mkdir(parents=True)
    shutil.copy(built / "build" / tree.release / "drv.ko", own)
    command = [sys.executable, "-m", "kbuildpy", "install", str(built), "-k", str(tree.objects)]
    command.append("INSTALL_MOD_DIR=updates")  # (up to 6.2 it is `extra`, which goes before nothing)
    # The system's own folder is covered, for these processes only.
    script = f'mount --bind {folder} "$(readlink -f /lib/modules)" && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command], capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert f"  DEPMOD  /lib/modules/{tree.release}\n" in done.stdout
    assert "missing 'System.map'" not in done.stderr
    assert "kbuildpy: drv: modprobe takes updates/drv.ko, and not kernel/drv.ko\n" in done.stdout
    ours = (folder / tree.release / "modules.dep").read_text()
    assert ours.startswith("updates/drv.ko:")
    # The same as by hand, which `--depmod` does below a root.
    root = tmp_path / "root"
    done_below = kbuildpy("install", built, "-k", tree.objects, "--root", root, "--depmod", command[-1])
    assert done_below.returncode == 0, done_below.error_text
    below = root / "lib/modules" / tree.release
    assert (below / "modules.dep").read_text() == ours
    (below / "modules.dep").unlink()
    run(["depmod", "-b", root, tree.release])
    assert (below / "modules.dep").read_text() == ours
    # Without it there is none below a root, and what to do is told.
    other = tmp_path / "other"
    told = kbuildpy("install", built, "-k", tree.objects, "--root", other)
    assert f"depmod -b {other} {tree.release}" in told.error_text
    assert not list(other.rglob("modules.dep"))


@pytest.mark.parametrize("how", ["kbuildpy", "scons"])
def test_what_is_said_to_undo_an_installation_undoes_it(how: str, built: Path, tmp_path: Path) -> None:
    tree = usual_tree()
    if os.geteuid() != 0:
        pytest.skip("takes root")
    folder = tmp_path / "modules"
    (folder / tree.release / "kernel").mkdir(parents=True)
    command = [sys.executable, "-m", "kbuildpy", "install", str(built), "-k", str(tree.objects)]
    if how == "scons":
        sources = {"drv/Kbuild": "obj-m := drv.o\n", "drv/drv.c": module(), "drv/more.c": module()}
        files = sources | {"SConstruct": f"{HEAD}env.InstallModules(None, env.Kbuild('drv'))\n"}
        project = SConsProject(tmp_path / "project", tree.objects, files)
        command = ["scons", "-Q", "install", f"KDIR={tree.objects}"]
    # (what an earlier run has installed stays; what is said ends up in a file, and is then done)
    earlier = '"$@" >earlier 2>&1 && echo "obj-m += more.o" >>drv/Kbuild && ' if how == "scons" else ""
    script = (
        f'mount --bind {folder} "$(readlink -f /lib/modules)" && {earlier} "$@" 2>&1 | tee said && '
        f'find {folder} -name "*.ko" '
        ">before && sed -n 's/^kbuildpy: to remove .* again: //p' said >undo && sh -e undo"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command],
        cwd=project.place if how == "scons" else tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    place = project.place if how == "scons" else tmp_path
    before = {Path(line).name for line in (place / "before").read_text().splitlines()}
    assert before == ({"drv.ko", "more.ko"} if how == "scons" else {next(built.rglob("*.ko")).name})
    assert len((place / "undo").read_text().splitlines()) == 1, (place / "said").read_text()
    assert [path.name for path in folder.rglob("*.ko")] == (["drv.ko"] if how == "scons" else [])
    assert (folder / tree.release / "modules.dep").read_text() == ("extra/drv.ko:\n" if how == "scons" else "")


def test_the_kernels_own_map_is_used_where_it_is_one(tmp_path: Path) -> None:
    rules = InstallRules("9.9", "/lib/modules/9.9", "updates", "", (), None, (), "", (), "/gone", "/", {})
    assert depmod_words(rules, "", boot=tmp_path) == ["depmod", "9.9"]
    system_map = tmp_path / "System.map-9.9"
    system_map.write_text("ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n")
    assert depmod_words(rules, "", boot=tmp_path) == ["depmod", "9.9"]
    system_map.write_text("ffffffff81000000 T _text\n" * 1000)
    assert depmod_words(rules, "", boot=tmp_path) == ["depmod", "-ae", "-F", str(system_map), "9.9"]
    assert depmod_words(rules, "/root", boot=tmp_path) == ["depmod", "-b", "/root", "9.9"]
