# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run --gdb --drgn-script`: drgn itself reads the data of a module in the guest."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kbuildpy.execute import execute
from tests.support.bad_modules import build, source
from tests.support.free_port import free_port
from tests.support.guest_kernels import tree_called

DRGN = shutil.which("drgn", path=f"{Path(sys.executable).parent}:/usr/bin")

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="boots x86-64 kernels in QEMU"),
    pytest.mark.skipif(
        not DRGN or b"--qemu" not in execute([DRGN, "--help"]).stdout, reason="drgn 0.3 is not installed"
    ),
]

SOURCE = source(
    before="struct pair { int first; long second; };\nstatic struct pair pairs[2] = {{1, 2}, {3, 4}};\n"
    "static int steps __initdata = 7;\nnoinline int counted(void);\nnoinline int counted(void) { return 1; }\n",
    init="pairs[1].second += counted() + steps;\nreturn 0;",
    exit="pairs[0].first = 0;",
)


@pytest.mark.parametrize(("at", "second"), [("loaded", 12), pytest.param("init", 4, marks=pytest.mark.sweep)])
def test_drgn_reads_variables_by_their_types_and_finds_functions(at: str, second: int, tmp_path: Path) -> None:
    module = build(tree_called("6.1"), tmp_path / "m", {"paired": SOURCE})["paired"]
    script = tmp_path / "paired.py"
    argv = [
        sys.executable,
        "-m",
        "kbuildpy",
        "run",
        "--gdb",
        free_port(),
        "--gdb-at",
        at,
        "--drgn-script",
        script,
        module,
    ]
    process = subprocess.Popen([*map(str, argv)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stderr and DRGN
        command = next(line for line in map(bytes.decode, process.stderr) if line.startswith("drgn --qemu "))
        asked = 'print(prog["pairs"])\nprint(prog.symbol(prog["counted"].address_).name)\n'
        if at == "init":
            asked += 'print(prog["steps"])\n'
        words = [DRGN, "-q", *shlex.split(command)[1:]]
        seen = execute(words, input=asked.encode(), timeout=120).stdout.decode()
    finally:
        process.kill()
        process.communicate()
    flat = re.sub(r"\s+", " ", seen)
    assert f".first = (int)3, .second = (long){second}," in flat, seen
    assert "counted" in flat
    assert at == "loaded" or "(int)7" in flat, seen
