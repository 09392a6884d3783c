# SPDX-License-Identifier: GPL-2.0-only
"""A token that never answers does not keep `kbuildpy sign`: a signal ends it, and each module is whole."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.own_command import own_command
from tests.support import softhsm
from tests.support.builds import kbuildpy
from tests.support.counting_token import CountingToken, counting_token
from tests.support.interrupts import can_be_interrupted
from tests.support.kernel_trees import usual_tree
from tests.support.keys import sign_file, write_pair

pytestmark = pytest.mark.parity

CONTENTS = b"\x7fELF" + bytes(range(256)) * 20
KEY = "pkcs11:token=release;object=rsa2048;type=private"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountingToken]:
    place = tmp_path_factory.mktemp("token")
    with pytest.MonkeyPatch.context() as patch:
        softhsm.configure(place, patch)
        softhsm.make_token("release")
        softhsm.import_key("release", write_pair(place, "rsa2048"), "rsa2048", "01")
        yield counting_token(place, patch)


@pytest.fixture
def modules(tmp_path: Path, token: CountingToken) -> dict[Path, bytes]:
    """Modules, and what sign-file makes of each."""
    token.forget()
    (tmp_path / "build").mkdir()
    found = {}
    for number in range(12):
        path = tmp_path / "build" / f"m{number}.ko"
        path.write_bytes(CONTENTS + bytes([number]))
        sign_file(usual_tree(), "sha256", certificate(token), path)
        found[path] = path.read_bytes()
        path.write_bytes(CONTENTS + bytes([number]))
    return found


def certificate(token: CountingToken) -> Path:
    return token.library.parent / "rsa2048.pem"


def words(token: CountingToken) -> list[str]:
    return ["--key", KEY, "--cert", str(certificate(token)), "--hash", "sha256"]


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


@pytest.mark.parametrize(
    ("hang", "sessions", "number"),
    [
        ("s3", 1, signal.SIGINT),
        ("s3", 3, signal.SIGINT),
        ("s3", 1, signal.SIGTERM),
        ("l1", 1, signal.SIGINT),
        ("l2", 3, signal.SIGINT),
    ],
)
def test_a_signal_ends_the_wait_for_a_token(
    hang: str, sessions: int, number: signal.Signals, modules: dict[Path, bytes], token: CountingToken, tmp_path: Path
) -> None:
    build, before = tmp_path / "build", {path: path.read_bytes() for path in modules}
    process = subprocess.Popen(
        [*own_command("sign", str(build), "--sessions", str(sessions)), *words(token)],
        env={**os.environ, "KBUILD_SIGN_PIN": softhsm.PIN, "TOKEN_HANG": hang},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=can_be_interrupted,
    )
    waiting = int(hang[1:]) if hang[0] == "l" else 2 + sessions
    while (token.logins if hang[0] == "l" else token.signatures) < waiting:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.2)
    left = children(process.pid)
    assert len(left) == sessions - 1
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    # (a keyboard's user knows)
    assert said.decode() == ("" if number == signal.SIGINT else "kbuildpy: ended by SIGTERM\n")
    end = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in left):
        assert time.monotonic() < end, "a session goes on"
        time.sleep(0.05)
    assert sorted(build.iterdir()) == sorted(modules)
    now = {path: path.read_bytes() for path in modules}
    signed = [path for path in modules if now[path] == modules[path]]
    assert all(now[path] == before[path] for path in modules if path not in signed)
    assert len(signed) == (0 if hang[0] == "l" else 2)
    done = kbuildpy("sign", build, *words(token), env={"KBUILD_SIGN_PIN": softhsm.PIN})
    assert done.returncode == 0
    assert {path: path.read_bytes() for path in modules} == modules


def test_a_list_of_digests_keeps_the_signatures_that_were_made(
    modules: dict[Path, bytes], token: CountingToken, tmp_path: Path
) -> None:
    listed = tmp_path / "list.json"
    pair = ("--cert", certificate(token), "--hash", "sha256")
    assert kbuildpy("sign", tmp_path / "build", *pair, "--export", listed).returncode == 0
    process = subprocess.Popen(
        [*own_command("sign", "--digests", str(listed)), *words(token)],
        env={**os.environ, "KBUILD_SIGN_PIN": softhsm.PIN, "TOKEN_HANG": "s5"},
        stderr=subprocess.PIPE,
        preexec_fn=can_be_interrupted,
    )
    while token.signatures < 5:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    done = kbuildpy("sign", "--digests", listed, *words(token), env={"KBUILD_SIGN_PIN": softhsm.PIN})
    assert "8 digests signed, 4 were signed already" in done.error_text
    assert kbuildpy("sign", tmp_path / "build", *pair, "--import", listed).returncode == 0
    assert {path: path.read_bytes() for path in modules} == modules
