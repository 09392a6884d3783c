# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy matrix` finds what its commands find one by one, however often it is interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.execute import Completed
from kbuildpy.run import run
from tests.support.builds import collect, kbuildpy
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import swept, trees
from tests.support.keys import write_pair

pytestmark = [pytest.mark.parity, pytest.mark.skipif(not trees(), reason="no kernel headers here")]

RELEASES = [tree.release for tree in trees()]
PASSPHRASE = "of-the-signing-key"
KERNELS = [word for release in RELEASES for word in ("-k", release)]
# A module for all kernels, and one for none; another directory cannot even be evaluated.
SOURCES = {
    "good/Kbuild": "obj-m := first.o second.o\n",
    "good/first.c": module(),
    "good/second.c": module('SAY(version, "version=2");'),
    "bad/Kbuild": "obj-m := broken.o\n",
    "bad/broken.c": module("#error not for this kernel\n"),
    "wrong/Kbuild": "obj-m := x.o\nifeq (1,1\n",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path.resolve() / "p"
    write_sources(SOURCES, found)
    return found


def matrix(
    place: Path, *words: str | Path, env: dict[str, str] | None = None
) -> tuple[Completed, list[dict[str, Any]]]:
    done = kbuildpy("matrix", "--format", "json", *words, cwd=place, env=env)
    # (cells are told as they are done)
    return done, [json.loads(line) for line in sorted(done.text.splitlines())]


def test_its_own_results_in_a_module_directory_are_no_sources_of_it(place: Path) -> None:
    words = (".", *KERNELS[:2], "--html", "matrix/page.html")
    done, records = matrix(place / "good", *words)
    assert done.returncode == 0 and {item["status"] for item in records} == {"passed"}, done.error_text
    [cell] = (path for path in (place / "good/matrix/cells").iterdir() if path.is_dir())
    made = cell.stat().st_ino, cell.stat().st_ctime_ns
    assert matrix(place / "good", *words)[1] == records
    assert made == (cell.stat().st_ino, cell.stat().st_ctime_ns), "the same cell was done again"


def test_it_finds_what_the_commands_find(place: Path) -> None:
    done, records = matrix(place, "good", "bad", "wrong", *KERNELS, "--html", "page.html")
    assert done.returncode == 1
    found = {(item["kernel"], Path(item["input"]).name, item["module"], item["step"]): item for item in records}
    for release in RELEASES:
        for name in ("first", "second"):
            for step in ("build", "check"):
                assert found[release, "good", name, step]["status"] == "passed"
        broken = found[release, "bad", "broken", "build"]
        assert broken["status"] == "failed" and (release, "bad", "broken", "check") not in found
        assert "invalid syntax in conditional" in found[release, "wrong", "", "build"]["reason"]
        # The modules are those of a build, and what is said of them is what `check` says.
        kbuildpy("build", place / "good", "-k", release)
        theirs = collect(place / "good/build" / release)
        out = place / "matrix/cells" / broken["cell"] / "modules/0" / release
        ours = collect(out)
        assert {name: data for name, data in ours.items() if name.endswith(".ko")} == {
            name: data for name, data in theirs.items() if name.endswith(".ko")
        }
        said = kbuildpy("check", out / "first.ko", "-k", release, "--format", "json").text
        verdict = json.loads(said)
        result = found[release, "good", "first", "check"]["result"]
        assert {name: verdict[name] for name in result if name != "file"} == {
            name: value for name, value in result.items() if name != "file"
        }
    assert "first" in (place / "page.html").read_text()


def test_a_kernel_that_a_dkms_conf_leaves_out_is_skipped(place: Path) -> None:
    conf = "PACKAGE_NAME=m\nPACKAGE_VERSION=1\nBUILT_MODULE_NAME[0]=first\nBUILT_MODULE_NAME[1]=second\n"
    conf += "DEST_MODULE_LOCATION[0]=/updates\nDEST_MODULE_LOCATION[1]=/updates\n"
    (place / "good/dkms.conf").write_text(f"{conf}BUILD_EXCLUSIVE_KERNEL_MIN=6.5\n")
    done, records = matrix(place, "good", *KERNELS)
    assert done.returncode == 0
    found = {
        item["kernel"]: {record["status"] for record in records if record["kernel"] == item["kernel"]}
        for item in records
    }
    for tree in trees():
        assert found[tree.release] == ({"passed"} if tree.version >= (6, 5) else {"skipped"})
    assert all("6.5" in item["reason"] for item in records if item["status"] == "skipped")


def test_nothing_is_done_again_but_what_changed(place: Path) -> None:
    _, before = matrix(place, "good", *KERNELS)
    folder = place / "matrix/cells"
    cells = sorted(path.name for path in folder.iterdir())
    _, again = matrix(place, "good", *KERNELS)
    assert again == before and sorted(path.name for path in folder.iterdir()) == cells
    (place / "good/first.c").write_text(f"{module()}\n/* another one */\n")
    _, changed = matrix(place, "good", *KERNELS)
    assert {item["cell"] for item in changed}.isdisjoint(item["cell"] for item in before)


def test_shards_are_merged_to_the_whole(place: Path) -> None:
    if len(RELEASES) < 2:
        pytest.skip("one kernel only")
    _, whole = matrix(place, "good", *KERNELS, "-o", "whole")
    parts = []
    for part in ("1/2", "2/2"):
        _, found = matrix(place, "good", *KERNELS, "--shard", part, "-o", f"part{part[0]}")
        parts += found
    assert sorted(map(json.dumps, parts)) == sorted(map(json.dumps, whole))
    done, merged = matrix(place, "good", *KERNELS, "-o", "merged", "--merge", "part1", "--merge", "part2")
    assert done.returncode == 0 and merged == whole
    assert not (place / "merged/cells").exists()


@pytest.mark.parametrize("delay", [1.0, *swept(0.3, 2.0, 3.0)])
def test_a_matrix_that_was_killed_goes_on_to_the_same_results(delay: float, place: Path) -> None:
    _, whole = matrix(place, "good", *KERNELS, "-o", "whole")
    words = [sys.executable, "-m", "kbuildpy", "matrix", "good", *KERNELS, "-j1"]
    process = subprocess.Popen(words, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done, found = matrix(place, "good", *KERNELS)
    assert done.returncode == 0 and found == whole


def test_a_cell_that_kills_its_process_is_told(place: Path) -> None:
    # The Kbuild file kills the process that carries out the cell: the parent of its own `kbuildpy build`.
    kill = "$(shell kill -9 $$(ps -o ppid= -p $$(ps -o ppid= -p $$PPID)))"
    (place / "good/Kbuild").write_text(f"obj-m := first.o\n$(info {kill})\n")
    done, [found] = matrix(place, "good", "-k", RELEASES[0])
    assert done.returncode == 1
    assert found["reason"] == "the process that worked on it was ended by SIGKILL, 3 times"


def test_modules_that_are_built_are_signed_in_copies_and_checked(place: Path) -> None:
    kbuildpy("build", place / "good", "-k", RELEASES[0])
    built = place / "good/build" / RELEASES[0]
    before = (built / "first.ko").read_bytes()
    pair = write_pair(place, "rsa2048", passphrase=PASSPHRASE)
    options: list[str | Path] = ["--do", "sign,check", "--key", pair, "--sig-enforce"]
    env = {**os.environ, "KBUILD_SIGN_PIN": PASSPHRASE}
    done, records = matrix(place, built / "first.ko", "-k", RELEASES[0], *options, env=env)
    found = {item["step"]: item for item in records}
    # (signed by a key that the kernel does not know)
    assert found["sign"]["status"] == "passed" and found["check"]["result"]["errno"] in ("ENOKEY", "EKEYREJECTED")
    assert done.returncode == 1
    assert (built / "first.ko").read_bytes() == before
    [signed] = (place / "matrix").rglob("first.ko")
    shutil.copy(built / "first.ko", place)
    run([trees()[0].objects / "scripts/sign-file", "sha256", pair, pair, place / "first.ko"], env=env)
    assert signed.read_bytes() == (place / "first.ko").read_bytes()
    kept = [path.read_bytes() for path in (place / "matrix").rglob("*") if path.is_file()]
    assert len(kept) > 3 and not any(PASSPHRASE.encode() in content for content in kept)


@pytest.mark.parametrize(
    ("words", "pin", "status", "said"),
    [
        ([], "another one", 1, "does not open the private key"),
        ([], "", 1, "set KBUILD_SIGN_PIN"),
        (["--executor", "slurm"], PASSPHRASE, 2, "Slurm would keep that in a file"),
    ],
)
def test_a_key_that_cannot_be_used_is_one_error_before_the_cells(
    words: list[str], pin: str, status: int, said: str, place: Path
) -> None:
    pair = write_pair(place, "rsa2048", passphrase=PASSPHRASE)
    env = {name: value for name, value in os.environ.items() if name != "KBUILD_SIGN_PIN"}
    if pin:
        env["KBUILD_SIGN_PIN"] = pin
    done = kbuildpy("matrix", "good", *KERNELS, "--do", "build,sign", "--key", pair, *words, cwd=place, env=env)
    assert done.returncode == status and said in done.error_text and "Traceback" not in done.error_text
    assert not (place / "matrix").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to work on"),
        (["gone"], "gone: no such file or directory"),
        (["good", "--do", "check"], "must be built first"),
        (["good", "--do", "build,sign"], "no key to sign with"),
        (["good", "--test", "x"], "--test is for the step run"),
        (["good", "--shard", "9/8"], "not a part of a whole"),
        (["good", "-k", "nonsense"], "nonsense"),
        (["."], "neither a Kbuild file nor modules"),
    ],
)
def test_wrong_calls(words: list[str], said: str, place: Path) -> None:
    done = kbuildpy("matrix", *words, cwd=place, env={**os.environ, "KDIR": str(trees()[0].objects)})
    assert done.returncode == 2 and said in done.error_text and "Traceback" not in done.error_text
    assert not (place / "matrix").exists()
