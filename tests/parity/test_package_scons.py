# SPDX-License-Identifier: GPL-2.0-only
"""`env.ModulePackage()`: the package of the command line, made again only when something changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.command_line import call
from tests.support.kernel_trees import usual_tree
from tests.support.module_packages import DATE
from tests.support.scons_project import ALONE, HEAD, SConsProject

pytestmark = pytest.mark.parity

PACKAGE = "env.ModulePackage('tar', ko, version='1.0', compression='gz')"


def project(place: Path, line: str = PACKAGE) -> SConsProject:
    made = SConsProject(
        place / "project",
        usual_tree().objects,
        ALONE | {"SConstruct": f"{HEAD}ko = env.KernelModule('alone', ['alone.c'])\n{line}\n"},
    )
    made.environ["SOURCE_DATE_EPOCH"] = str(DATE)
    return made


def test_makes_the_package_of_the_command_line_once_and_again_after_a_change(tmp_path: Path) -> None:
    made = project(tmp_path)
    assert not [line for line in made.build().did if "PACKAGE" in line]
    first = made.scons("package")
    assert [line.split()[0] for line in first.did if "PACKAGE" in line] == ["PACKAGE"]
    release = usual_tree().release
    [file] = (made.place / "build" / release / "packages").iterdir()
    module = made.place / "build" / release / "alone.ko"
    words = ("--version", "1.0", "--compression", "gz", "-k", usual_tree().objects)
    assert call("package", "tar", module, *words, cwd=tmp_path, SOURCE_DATE_EPOCH=str(DATE)).returncode == 0
    assert (tmp_path / file.name).read_bytes() == file.read_bytes()
    assert made.scons("package").did == []
    made.edit("alone.c", 'MODULE_LICENSE("GPL");', 'MODULE_LICENSE("GPL v2");')
    assert [line for line in made.scons("package").did if "PACKAGE" in line]
    listed = run(["tar", "-xOf", file]).stdout
    assert listed == module.read_bytes()
    made.edit("SConstruct", "compression='gz'", "compression='gz', folder='extra'")
    assert [line for line in made.scons("package").did if "PACKAGE" in line]
    assert "/extra/alone.ko" in run(["tar", "-tf", file]).text
    made.scons("-c", "package")
    assert not file.exists()
    assert module.exists()


@pytest.mark.sweep
def test_refuses_what_the_command_line_refuses(tmp_path: Path) -> None:
    made = project(tmp_path, PACKAGE.replace("'gz'", "'gz', require_signature=True"))
    output = made.scons("package", status=2).output
    assert "signature" in output
    assert not list((made.place / "build" / usual_tree().release).glob("packages/*"))
    for line, said in {
        "env.ModulePackage('tar', ko)": "needs a version",
        "env.ModulePackage('zip', ko, version='1')": "is not a format",
        "env.ModulePackage('tar', version='1')": "no modules",
        "env.ModulePackage('tar', ko, version='1', verison='2')": "did you mean version",
        "env.ModulePackage('sysext', ko, version='1', verity='no')": "neither True nor False",
        "env.ModulePackage('tar', ko, version='1', verity=True)": "is an option of sysext, not of tar",
    }.items():
        made.write("SConstruct", f"{HEAD}ko = env.KernelModule('alone', ['alone.c'])\n{line}\n")
        assert said in made.scons(status=2).output
