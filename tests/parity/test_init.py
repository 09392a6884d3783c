# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy init` in packaged modules: what it writes builds all of their modules, with SCons and as dkms would."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.kernel_trees import trees
from tests.support.packages import unpacked

pytestmark = pytest.mark.parity

# package, variables that its own scripts would give (@ is the project), modules
PACKAGES = [
    ("acpi-call-dkms", [], ["acpi_call"]),
    ("nat-rtsp-dkms", [], ["nf_conntrack_rtsp", "nf_nat_rtsp"]),
    pytest.param("ddcci-dkms", [], ["ddcci", "ddcci-backlight"], marks=pytest.mark.sweep),
    pytest.param("v4l2loopback-dkms", [], ["v4l2loopback"], marks=pytest.mark.sweep),
    pytest.param("jool-dkms", [], ["jool", "jool_common", "jool_siit"], marks=pytest.mark.sweep),
    pytest.param("xtables-addons-dkms", ["XA_ABSTOPSRCDIR=@", "XA_TOPSRCDIR=@"], None, marks=pytest.mark.sweep),
]


@pytest.mark.parametrize(("package", "variables", "names"), PACKAGES)
def test_what_it_writes_builds_the_modules(
    package: str, variables: list[str], names: list[str] | None, tmp_path: Path
) -> None:
    tree = min(trees(), key=lambda tree: tree.version)
    project = tmp_path.resolve() / "project"
    shutil.copytree(next((unpacked(package) / "usr/src").iterdir()), project)
    (project / "dkms.conf").unlink()
    words = [word.replace("@", str(project)) for word in variables]
    said = run([sys.executable, "-m", "kbuildpy", "init", project, "-k", tree.objects, *words]).text
    scons = Path(sys.executable).with_name("scons")
    run([scons, "-Q", "-s", f"-j{os.cpu_count()}", f"KDIR={tree.objects}"], cwd=project, timeout=600)
    made = sorted(path.stem for path in (project / "build" / tree.release).rglob("*.ko"))
    assert made == names if names else len(made) == 24
    assert all(f"{name}.ko: " in said for name in made)
    run(["bash", "-n", project / "dkms.conf"])
    conf = (project / "dkms.conf").read_text()
    assert sorted(line.split("=")[1] for line in conf.splitlines() if "BUILT_MODULE_NAME" in line) == made
    # dkms would call make so, below the place that it has copied the package to.
    copy = tmp_path.resolve() / "dkms" / "name" / "version" / "build"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("build"))
    script = (
        "set -e; . ./dkms.conf; PACKAGE_NAME=name PACKAGE_VERSION=version; . /dev/stdin; [ ${#MAKE[@]} = 1 ];"
        ' eval "${MAKE[0]}"'
    )
    make = "\n".join(line for line in conf.splitlines() if line.startswith("MAKE["))
    environ = {**os.environ, "kernel_source_dir": str(tree.objects), "dkms_tree": str(copy.parents[2])}
    run(["bash", "-c", script], cwd=copy, env=environ, input=make.encode(), timeout=600)
    assert sorted(path.stem for path in copy.rglob("*.ko")) == made
