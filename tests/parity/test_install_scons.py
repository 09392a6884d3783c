# SPDX-License-Identifier: GPL-2.0-only
"""`env.InstallModules()`: what `kbuildpy install` installs, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.installs import assert_same_tree, configured_tree, installed, make_key
from tests.support.kernel_trees import newest_tree_first, tree_of_release, usual_tree
from tests.support.scons_project import HEAD, PAIR, SConsProject

pytestmark = pytest.mark.parity

FILES = PAIR | {
    "SConstruct": f"{HEAD}kos = env.Kbuild('drv')\nenv.Default(kos)\nenv.InstallModules(None, kos)\n",
}


@pytest.fixture(params=newest_tree_first())
def project(request: pytest.FixtureRequest, tmp_path: Path) -> SConsProject:
    """A project that installs its two modules, for a tree that signs, compresses and has a System.map."""
    tree = tree_of_release(request.param)
    config = {"CONFIG_MODULE_SIG_ALL": "y", "CONFIG_MODULE_COMPRESS_XZ": "y", "CONFIG_MODULE_COMPRESS_ALL": "y"}
    kdir = configured_tree(tree, tmp_path / "tree", config)
    return SConsProject(tmp_path / "project", kdir, FILES)


def words(root: Path, *more: str) -> list[str]:
    return ["install", f"INSTALL_MOD_PATH={root}", "-j2", *more]


def steps(run_did: list[str]) -> list[str]:
    """What was done to which module."""
    return sorted(f"{line.split()[0]} {Path(line.split()[-1]).name}" for line in run_did if "/lib/modules/" in line)


def test_installs_as_the_command_does_and_then_has_nothing_to_do(project: SConsProject, tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert steps(project.scons(*words(root, "-n")).did) != []
    assert not root.exists()
    first = project.scons(*words(root))
    names = [f"{word} {name}.ko" for word in ("INSTALL", "SIGN") for name in ("pair", "user")]
    release = next(root.glob("lib/modules/*")).name
    assert steps(first.did) == sorted([*names, "XZ pair.ko.xz", "XZ user.ko.xz", f"DEPMOD {release}"])
    before = installed(root)
    assert "`install' is up to date" in project.scons(*words(root)).output
    assert installed(root) == before

    commanded = tmp_path / "commanded"
    out = next(project.place.glob("build/*/drv"))
    done = kbuildpy("install", out / "pair.ko", out / "user.ko", "-k", str(project.kdir), "--root", str(commanded))
    assert done.returncode == 0, done.error_text
    assert_same_tree(commanded, root)


def test_installs_again_what_changed_and_only_that(project: SConsProject, tmp_path: Path) -> None:
    root = tmp_path / "root"
    project.scons(*words(root))
    project.edit("drv/user.c", "pair_value() - 1", "pair_value() - 2")
    again = project.scons(*words(root))
    assert [line for line in steps(again.did) if "pair" in line] == []
    assert "INSTALL user.ko" in steps(again.did)
    assert [line for line in steps(again.did) if line.startswith("DEPMOD")]
    stripped = project.scons(*words(root, "INSTALL_MOD_STRIP=1"))
    assert not stripped.compiled
    assert {"STRIP pair.ko", "STRIP user.ko"} <= set(steps(stripped.did))
    # Somebody took one away.
    next(root.rglob("pair.ko.xz")).unlink()
    assert "INSTALL pair.ko" in steps(project.scons(*words(root, "INSTALL_MOD_STRIP=1")).did)


@pytest.mark.sweep
def test_cleaning_takes_the_modules_away_and_not_the_index(project: SConsProject, tmp_path: Path) -> None:
    root = tmp_path / "root"
    project.scons(*words(root))
    project.scons("-c", f"INSTALL_MOD_PATH={root}")
    assert len(list(root.rglob("*.ko.xz"))) == 2, "cleaning the build uninstalled"
    project.build()
    built = project.outputs()
    project.scons("-c", *words(root))
    assert list(root.rglob("*.ko.xz")) == []
    assert not [path for path in root.rglob("*") if path.is_dir() and not list(path.iterdir())]
    assert list(root.rglob("modules.dep"))
    assert project.outputs() == built, "uninstalling took the build away"


def test_a_module_that_cannot_be_installed_fails_and_stays_as_it_was(tmp_path: Path) -> None:
    project = SConsProject(tmp_path / "project", usual_tree().objects, FILES)
    root = tmp_path / "root"
    project.scons(*words(root))
    before = installed(root)
    bad = project.scons(*words(root, "INSTALL_MOD_STRIP=--no-such-option"), status=2)
    assert "INSTALL_MOD_STRIP is 1, or options for strip" in bad.output
    assert installed(root) == before


def test_signs_with_a_key_of_the_projects(tmp_path: Path) -> None:
    install = "env.InstallModules('#stage', kos, key='keys/a.pem', cert='keys/a.x509', INSTALL_MOD_DIR='own')\n"
    files = FILES | {"SConstruct": FILES["SConstruct"].replace("env.InstallModules(None, kos)\n", install)}
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    (project.place / "keys").mkdir()
    make_key(project.place / "keys/a.pem", project.place / "keys/a.x509")
    first = project.scons("install")
    assert {"SIGN pair.ko", "SIGN user.ko"} <= set(steps(first.did))
    signed = installed(project.place / "stage")
    assert all("/own/" in name and one[3].endswith(b"appended~\n") for name, one in signed.items() if ".ko" in name)
    # Another key signs anew.
    make_key(project.place / "keys/a.pem", project.place / "keys/a.x509")
    assert "SIGN pair.ko" in steps(project.scons("install").did)
    assert installed(project.place / "stage") != signed
