# SPDX-License-Identifier: GPL-2.0-only
"""`env.SignModule()`: what sign-file makes of a built module, and nothing twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.kernel_trees import usual_tree
from tests.support.keys import sign_file, write_pair
from tests.support.scons_project import HEAD, PAIR, SConsProject

pytestmark = pytest.mark.parity

SCONSTRUCT = f"""{HEAD}
kos = env.Kbuild('drv')
signed = env.SignModule(kos, key='key.pem', hash='sha512')
env.Default(signed)
env.InstallModules('root', signed)
"""


@pytest.fixture
def project(tmp_path: Path) -> SConsProject:
    """A project that signs its two modules."""
    project = SConsProject(tmp_path / "project", usual_tree().objects, PAIR | {"SConstruct": SCONSTRUCT})
    write_pair(tmp_path, "rsa2048").rename(project.place / "key.pem")
    return project


def assert_signed_as_by_sign_file(project: SConsProject, scratch: Path) -> None:
    out = project.place / "build" / usual_tree().release / "drv"
    for name in ("pair.ko", "user.ko"):
        shutil.copy(out / name, scratch / name)
        sign_file(usual_tree(), "sha512", project.place / "key.pem", scratch / name)
        assert (out / "signed" / name).read_bytes() == (scratch / name).read_bytes()


def test_signs_as_sign_file_does_and_then_has_nothing_to_do(project: SConsProject, tmp_path: Path) -> None:
    shown = project.build("-n")
    assert [line for line in shown.did if line.startswith("SIGN")] and not (project.place / "build").exists()
    did = project.build().did
    assert [line for line in did if line.startswith("SIGN")] == [
        "SIGN    signed/pair.ko",
        "SIGN    signed/user.ko",
    ]
    assert_signed_as_by_sign_file(project, tmp_path)
    project.assert_nothing_to_do()


def test_keys_may_be_nodes(project: SConsProject, tmp_path: Path) -> None:
    # (a node's name is read from the top, and a string's from where the SConscript is)
    key = "env.File('#key.pem')"
    project.write("below/SConscript", f"Import('env', 'kos')\nenv.SignModule(kos, key={key}, hash='sha512')\n")
    project.write("SConstruct", f"{HEAD}kos = env.Kbuild('drv')\nSConscript('below/SConscript', ['env', 'kos'])\n")
    project.build()
    assert_signed_as_by_sign_file(project, tmp_path)


def test_signs_again_what_changed_and_only_that(project: SConsProject, tmp_path: Path) -> None:
    project.build()
    project.edit("drv/user.c", "pair_value() - 1", "pair_value() - 2")
    assert [line for line in project.build().did if "SIGN" in line] == ["SIGN    signed/user.ko"]
    assert_signed_as_by_sign_file(project, tmp_path)


def test_another_key_signs_everything_and_links_nothing(project: SConsProject, tmp_path: Path) -> None:
    project.build()
    write_pair(tmp_path, "rsa4096").replace(project.place / "key.pem")
    did = project.build().did
    assert did == ["SIGN    signed/pair.ko", "SIGN    signed/user.ko"]
    assert_signed_as_by_sign_file(project, tmp_path)


def test_signed_modules_are_installed_where_they_were_built(project: SConsProject) -> None:
    project.scons("-j2", "install")
    installed = [path for path in (project.place / "root").rglob("*.ko*") if path.is_file()]
    assert sorted(path.name.partition(".")[0] for path in installed) == ["pair", "user"]
    out = project.place / "build" / usual_tree().release / "drv"
    assert "signed" not in {part for path in installed for part in path.parts[len(project.place.parts) :]}
    for path in installed:
        assert path.read_bytes() == (out / "signed" / path.name).read_bytes()


def test_cleaning_removes_them(project: SConsProject) -> None:
    project.build()
    project.build("-c")
    assert not list(project.place.rglob("*.ko"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("env.SignModule(kos)", "no key to sign with"),
        ("env.SignModule(kos, key='none.pem')", "none.pem: No such file"),
        ("env.SignModule(kos, key='key.pem', hash='md5')", "md5: no such hash"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(call: str, said: str, project: SConsProject) -> None:
    project.write("SConstruct", f"{HEAD}kos = env.Kbuild('drv')\nenv.Default({call})\n")
    done = project.scons("-j2", status=2)
    assert said in done.output
