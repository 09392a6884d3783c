# SPDX-License-Identifier: GPL-2.0-only
"""Proofs that are cut short: a full disk, a kill, a token that is gone. Nothing half-written, one clear error."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from kbuildpy.cli import provenance
from kbuildpy.proof.gather import gather_all
from kbuildpy.run import run
from tests.support import softhsm
from tests.support.builds import kbuildpy
from tests.support.command_line import call
from tests.support.interrupts import can_be_interrupted
from tests.support.kernel_trees import usual_tree
from tests.support.keys import write_pair
from tests.support.proofs import TWO_SOURCES, ProvedModule, proved

pytestmark = [pytest.mark.parity, pytest.mark.sweep]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> ProvedModule:
    """A module of two sources; not to be changed."""
    return proved(usual_tree(), tmp_path_factory.mktemp("proof") / "drv", TWO_SOURCES)


def test_a_full_disk_leaves_the_file_that_was_there(built: ProvedModule, small_disk: Path) -> None:
    for command in ("provenance", "sbom"):
        target = small_disk / f"{command}.json"
        target.write_text("the old one\n")
        run(["mount", "-o", "remount,size=40k", small_disk])
        done = kbuildpy(command, built.ko, "-o", target)
        assert done.returncode == 1
        assert done.error_text.count("kbuildpy: error: ") == 1
        assert "No space left on device" in done.error_text
        assert target.read_text() == "the old one\n"
        assert sorted(path.name for path in small_disk.iterdir()) == [target.name]
        run(["mount", "-o", "remount,size=8m", small_disk])
        assert kbuildpy(command, built.ko, "-o", target).returncode == 0
        assert json.loads(target.read_text())
        target.unlink()


def test_a_full_disk_ends_a_rebuild_with_an_error_of_the_builder(built: ProvedModule, small_disk: Path) -> None:
    run(["mount", "-o", "remount,size=60k", small_disk])
    words = ("reproduce", built.ko, "--manifest", built.manifest, "--unverified")
    done = kbuildpy(*words, env={"TMPDIR": str(small_disk)})
    assert done.returncode == 1
    assert "No space left on device" in done.text + done.error_text
    assert "Traceback" not in done.text + done.error_text
    assert list(small_disk.iterdir()) == []


def test_a_kill_leaves_a_whole_file_and_the_sources_as_they_were(built: ProvedModule, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "p256")
    target = tmp_path / "out/x.json"
    target.parent.mkdir()
    argv = [sys.executable, "-m", "kbuildpy", "provenance", str(built.ko), "--key", str(pair), "-q", "-o", str(target)]
    before = sorted(path for path in built.directory.rglob("*"))
    began = time.monotonic()
    run(argv)
    whole = time.monotonic() - began
    complete = json.loads(target.read_text())["payload"]
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for _ in range(12):
        target.unlink(missing_ok=True)
        process = subprocess.Popen(argv, start_new_session=True, preexec_fn=can_be_interrupted)
        time.sleep(moments.uniform(0.3, 1.05) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if target.exists():
            assert json.loads(target.read_text())["payload"] == complete
        # (what a kill leaves beside it, the next run takes)
        run(argv)
        assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert sorted(path for path in built.directory.rglob("*")) == before


def test_a_kill_of_a_rebuild_leaves_the_sources_as_they_were(built: ProvedModule, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in built.directory.rglob("*") if path.is_file()}
    argv = [sys.executable, "-m", "kbuildpy", "reproduce", str(built.ko), "--manifest", str(built.manifest)]
    for delay in (1.0, 2.0, 3.0):
        process = subprocess.Popen(
            [*argv, "--unverified"], start_new_session=True, env={**os.environ, "TMPDIR": str(tmp_path)}
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert {path: path.read_bytes() for path in built.directory.rglob("*") if path.is_file()} == before
    # (TMPDIR still has the programs' own files, and some of these programs may be alive)
    assert run([*argv, "--unverified"]).returncode == 0


def test_a_token_that_is_gone_leaves_no_file(
    built: ProvedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # (SoftHSM's paths are short)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        softhsm.configure(place, monkeypatch)
        softhsm.make_token("release")
        softhsm.import_key("release", write_pair(place, "p256"), "modules", "01")
        monkeypatch.setenv("KBUILD_SIGN_PIN", softhsm.PIN)
        uri = "pkcs11:token=release;object=modules;type=private"
        words = ("provenance", built.ko, "--key", uri, "--cert", place / "p256.pem", "-o", "x.json")
        done = call(*words, cwd=tmp_path)
        assert done.returncode == 0, done.error_text
        verified = call("provenance", "--verify", "x.json", "--cert", place / "p256.pem", cwd=tmp_path)
        assert verified.returncode == 0, verified.error_text
        (tmp_path / "x.json").unlink()

        def gathered(*args: object, **kwargs: object) -> object:
            shutil.rmtree(place / "tokens")
            return gather_all(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(provenance, "gather_all", gathered)
        done = call(*words, cwd=tmp_path)
        assert done.returncode == 1
        assert done.error_text.count("kbuildpy: error: ") == 1
        assert list(tmp_path.iterdir()) == []
