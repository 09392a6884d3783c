# SPDX-License-Identifier: GPL-2.0-only
"""`scons -h` of a project with the tool: variables, builders and targets, and the project's own help beside them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kbuildpy.scons import BUILDERS
from tests.support.documents import ROOT

HEAD = "import sys\nsys.path.insert(0, {root!r})\nfrom kbuildpy.scons import generate\n"
TOOL = "env = Environment(tools=[generate])\n"


def scons_help(folder: Path, text: str) -> str:
    (folder / "SConstruct").write_text(HEAD.format(root=str(ROOT)) + text)
    argv = [sys.executable, "-m", "SCons", "-h"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True, timeout=60).stdout


def test_names_every_builder_and_every_variable_of_the_architecture(tmp_path: Path) -> None:
    said = scons_help(tmp_path, TOOL)
    assert [name for name in BUILDERS if f"\n  {name}(" not in said] == []
    text = (ROOT / "docs/architecture.md").read_text().split("**Variables** have Kbuild's names:")[1]
    variables = set(re.findall(r"`([A-Z_]+)(?:=\d)?`", text.split("Output\nlines")[0])) - {"KERNEL_PROBES"}
    assert len(variables) > 20
    assert {name for name in variables if not re.search(rf"(?<!\w){name}\b", said)} == set()


@pytest.mark.parametrize(
    "text",
    [
        f"Help('Ours: SPEED=N\\n')\n{TOOL}",
        f"{TOOL}Help('Ours: SPEED=N\\n')\n",
        f"{TOOL}env.Help('Ours: SPEED=N\\n', append=True)\n",
        f"vars = Variables()\nvars.Add('SPEED', 'Ours: SPEED=N', 1)\n{TOOL}Help(vars.GenerateHelpText(env))\n",
    ],
    ids=["before the tool", "after it", "of the environment", "of SCons' Variables"],
)
def test_the_projects_own_help_stays_and_comes_once(text: str, tmp_path: Path) -> None:
    said = scons_help(tmp_path, f"{text}Environment(tools=[generate])\n")
    assert said.count("Ours: SPEED=N") == 1
    assert said.count("KDIR=PATH") == 1
    assert said.count("KernelModule(target, source)") == 1
    assert "Use scons -H" in said
