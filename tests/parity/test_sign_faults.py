# SPDX-License-Identifier: GPL-2.0-only
"""Signing that is cut short: every file is the one before or the one after, and the next run finishes the work."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kbuildpy.run import run
from kbuildpy.signing.manifest import digest, read_manifest
from kbuildpy.signing.signer import sign_module
from tests.support.builds import kbuildpy
from tests.support.interrupts import can_be_interrupted
from tests.support.keys import CONTENTS, signer_of, write_pair

pytestmark = pytest.mark.parity

COUNT = 500


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("keys"), "rsa2048")


def lay_out(place: Path, count: int = COUNT) -> dict[Path, bytes]:
    """Unsigned modules, all of them different."""
    shutil.rmtree(place, ignore_errors=True)
    found = {}
    for number in range(count):
        path = place / f"{number % 10}/m{number}.ko"
        path.parent.mkdir(parents=True, exist_ok=True)
        found[path] = CONTENTS + number.to_bytes(4, "big")
        path.write_bytes(found[path])
    return found


def start(place: Path, pair: Path, *words: str | Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "kbuildpy", "sign", place, "--key", pair, "--hash", "sha256", "-q", *words]
    return subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=can_be_interrupted,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a run that has to succeed."""
    _, said = process.communicate()
    assert process.returncode == 0, said


def signed(modules: dict[Path, bytes], pair: Path) -> dict[Path, bytes]:
    """What each module is when it is done."""
    signer = signer_of(pair, "sha256")
    return {path: sign_module(contents, signer) or b"" for path, contents in modules.items()}


def kill_at_moments(count: int, place: Path, pair: Path, manifest: Path) -> None:
    modules = lay_out(place)
    after = signed(modules, pair)
    began = time.monotonic()
    finish(start(place, pair))
    whole = time.monotonic() - began
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    moments = random.Random(seed)
    stopped = 0
    for _ in range(count):
        lay_out(place)
        manifest.unlink(missing_ok=True)
        process = start(place, pair, "--manifest", manifest)
        time.sleep(moments.uniform(0.1, 0.95) * whole)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        halves = [path for path, before in modules.items() if path.read_bytes() not in (before, after[path])]
        assert halves == []
        done = sum(path.read_bytes() == after[path] for path in modules)
        stopped += 0 < done < COUNT
        finish(start(place, pair, "--manifest", manifest))
        assert {path: path.read_bytes() for path in modules} == after
        assert {path for path in place.rglob("*") if path.is_file()} == set(modules)
        entries = {Path(entry.path): entry for entry in read_manifest(manifest)}
        assert entries.keys() == modules.keys()
        for path, entry in entries.items():
            assert (entry.sha256_before, entry.sha256_after) == (digest(modules[path]), digest(after[path]))
    assert stopped, "no kill came in the middle"


def test_a_kill_leaves_whole_files_and_the_next_run_finishes(pair: Path, tmp_path: Path) -> None:
    kill_at_moments(6, tmp_path / "modules", pair, tmp_path / "manifest")


@pytest.mark.sweep
def test_fifty_kills(pair: Path, tmp_path: Path) -> None:
    kill_at_moments(50, tmp_path / "modules", pair, tmp_path / "manifest")


def test_two_runs_on_one_directory(pair: Path, tmp_path: Path) -> None:
    modules = lay_out(tmp_path / "modules")
    manifests = [tmp_path / "one", tmp_path / "two"]
    runs = [start(tmp_path / "modules", pair, "--manifest", manifest) for manifest in manifests]
    for process in runs:
        finish(process)
    assert {path: path.read_bytes() for path in modules} == signed(modules, pair)
    assert {path for path in (tmp_path / "modules").rglob("*") if path.is_file()} == set(modules)


def test_an_interrupt_ends_the_run_and_the_next_one_finishes(pair: Path, tmp_path: Path) -> None:
    modules = lay_out(tmp_path / "modules", 3000)
    process = start(tmp_path / "modules", pair)
    while not any(path.stat().st_size > len(before) for path, before in modules.items()):
        assert process.poll() is None
    # As a terminal does it: to all the processes that sign.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert (process.returncode, said) == (130, b"")
    assert any(path.read_bytes() == before for path, before in modules.items()), "it had nothing left to do"
    finish(start(tmp_path / "modules", pair))
    assert {path: path.read_bytes() for path in modules} == signed(modules, pair)


def test_half_a_line_in_the_manifest_is_written_anew(pair: Path, tmp_path: Path) -> None:
    modules, manifest = lay_out(tmp_path / "modules", 3), tmp_path / "manifest"
    finish(start(tmp_path / "modules", pair, "--manifest", manifest))
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    finish(start(tmp_path / "modules", pair, "--manifest", manifest))
    assert manifest.read_bytes().splitlines(keepends=True)[:2] == lines[:2]
    assert {Path(entry.path) for entry in read_manifest(manifest)} == modules.keys()


def test_a_full_disk_stops_nothing_but_what_does_not_fit(small_disk: Path, pair: Path) -> None:
    modules = lay_out(small_disk / "modules", 40)
    with (small_disk / "rest").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    done = kbuildpy("sign", small_disk / "modules", "--key", pair, "--hash", "sha256")
    assert done.returncode == 1
    assert "No space left on device" in done.error_text and "Traceback" not in done.error_text
    after = signed(modules, pair)
    assert all(path.read_bytes() in (before, after[path]) for path, before in modules.items())
    assert {path for path in (small_disk / "modules").rglob("*") if path.is_file()} == set(modules)
    (small_disk / "rest").unlink()
    assert kbuildpy("sign", small_disk / "modules", "--key", pair, "--hash", "sha256").returncode == 0
    assert {path: path.read_bytes() for path in modules} == after
    assert {path for path in (small_disk / "modules").rglob("*") if path.is_file()} == set(modules)


def test_a_read_only_place_is_an_error_that_names_the_file(pair: Path, tmp_path: Path) -> None:
    modules = lay_out(tmp_path / "modules", 3)
    run(["mount", "--bind", tmp_path / "modules", tmp_path / "modules"])
    try:
        run(["mount", "-o", "remount,bind,ro", tmp_path / "modules"])
        done = kbuildpy("sign", tmp_path / "modules", "--key", pair, "--hash", "sha256")
    finally:
        run(["umount", tmp_path / "modules"])
    assert done.returncode == 1
    for path in modules:
        assert f"{path}: Read-only file system" in done.error_text
    assert all(path.read_bytes() == contents for path, contents in modules.items())


def test_owner_mode_attributes_and_links_stay(pair: Path, tmp_path: Path) -> None:
    module, link = tmp_path / "m.ko", tmp_path / "link.ko"
    module.write_bytes(CONTENTS)
    module.chmod(0o604)
    link.symlink_to(module)
    if os.geteuid() == 0:
        os.chown(module, 1234, 4321)
    try:
        os.setxattr(module, "user.note", b"kept")
    except OSError:
        pytest.skip("no extended attributes on this file system")
    assert kbuildpy("sign", link, "--key", pair, "--hash", "sha256").returncode == 0
    status = module.stat()
    assert link.is_symlink()
    assert status.st_mode & 0o777 == 0o604
    assert os.geteuid() != 0 or (status.st_uid, status.st_gid) == (1234, 4321)
    assert os.getxattr(module, "user.note") == b"kept"
    assert module.read_bytes() == sign_module(CONTENTS, signer_of(pair, "sha256"))
