# SPDX-License-Identifier: GPL-2.0-only
"""A token's key in several sessions, on several tokens, and processes that share a queue: the bytes are sign-file's,
and no module costs the token two signatures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.own_command import own_command
from kbuildpy.signing.batch import JOBS
from kbuildpy.signing.manifest import read_manifest
from tests.support import softhsm
from tests.support.builds import kbuildpy
from tests.support.counting_token import CountingToken, counting_token
from tests.support.kernel_trees import usual_tree
from tests.support.keys import sign_file, write_pair

pytestmark = pytest.mark.parity

CONTENTS = b"\x7fELF" + bytes(range(256)) * 20
SIGN = ("--hash", "sha256")
KEY = "pkcs11:token={token};object=rsa2048;type=private"


@dataclass(frozen=True)
class Tokens:
    """Two tokens with one key, and a third with another."""

    place: Path
    counting: CountingToken

    @property
    def certificate(self) -> Path:
        return self.place / "rsa2048.pem"

    def sign(
        self, *words: str | Path, tokens: tuple[str, ...] = ("release",), pin: str = softhsm.PIN
    ) -> tuple[int, str]:
        """The status of `kbuildpy sign`, and all that it printed."""
        keys = [word for token in tokens for word in ("--key", KEY.format(token=token))]
        done = kbuildpy("sign", *words, *keys, *SIGN, "--cert", self.certificate, env={"KBUILD_SIGN_PIN": pin})
        return done.returncode, done.text + done.error_text


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    place = tmp_path_factory.mktemp("tokens")
    with pytest.MonkeyPatch.context() as patch:
        softhsm.configure(place, patch)
        pair = write_pair(place, "rsa2048")
        for token in ("release", "copy"):
            softhsm.make_token(token)
            softhsm.import_key(token, pair, "rsa2048", "01")
        softhsm.make_token("stranger")
        (place / "other").mkdir()
        softhsm.import_key("stranger", write_pair(place / "other", "rsa2048"), "rsa2048", "01")
        yield Tokens(place, counting_token(place, patch))


@pytest.fixture
def modules(tmp_path: Path, tokens: Tokens) -> list[Path]:
    """Forty modules, all different."""
    tokens.counting.forget()
    (tmp_path / "build").mkdir()
    paths = [tmp_path / "build" / f"m{number}.ko" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(CONTENTS + bytes([number]))
    return paths


def signed_by_sign_file(tokens: Tokens, modules: list[Path], tmp_path: Path) -> list[bytes]:
    """What sign-file makes of the modules with the same key in a file."""
    found = []
    for path in modules:
        copy = tmp_path / "theirs.ko"
        copy.write_bytes(path.read_bytes())
        sign_file(usual_tree(), "sha256", tokens.certificate, copy)
        found.append(copy.read_bytes())
    return found


@pytest.mark.parametrize("which", [("release",), ("release", "copy")], ids=["one token", "two tokens"])
def test_sessions_sign_as_sign_file_does_each_module_once(
    tokens: Tokens, modules: list[Path], tmp_path: Path, which: tuple[str, ...]
) -> None:
    expected = signed_by_sign_file(tokens, modules, tmp_path)
    manifest = tmp_path / "signed.json"
    assert tokens.sign(tmp_path / "build", "--sessions", "3", "--manifest", manifest, tokens=which)[0] == 0
    assert [path.read_bytes() for path in modules] == expected
    assert tokens.counting.signatures == len(modules)
    lines = read_manifest(manifest)
    assert {line.key for line in lines} == {f"pkcs11:token={token};object=rsa2048" for token in which}
    assert {line.host for line in lines} == {os.uname().nodename}


def test_a_token_with_another_key_is_refused_before_anything_is_signed(
    tokens: Tokens, modules: list[Path], tmp_path: Path
) -> None:
    before = [path.read_bytes() for path in modules]
    status, said = tokens.sign(tmp_path / "build", tokens=("release", "stranger"))
    assert status == 1
    assert "pkcs11:token=stranger;object=rsa2048: not the key that pkcs11:token=release;object=rsa2048 is" in said
    assert [path.read_bytes() for path in modules] == before and tokens.counting.signatures == 0


def test_a_wrong_pin_is_tried_once_however_many_sessions_there_are(
    tokens: Tokens, modules: list[Path], tmp_path: Path
) -> None:
    status, said = tokens.sign(tmp_path / "build", "--sessions", "8", pin="0000-wrong")
    assert status == 1 and "the PIN is wrong; it is not tried again" in said
    assert tokens.counting.logins == 1
    assert tokens.sign(tmp_path / "build", "--sessions", "8")[0] == 0
    assert tokens.counting.logins == 1 + 8


def test_what_a_library_prints_is_no_signature(tokens: Tokens, modules: list[Path], tmp_path: Path) -> None:
    expected = signed_by_sign_file(tokens, modules, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN_NOISE", "1")
        status, said = tokens.sign(tmp_path / "build", "--sessions", "3")
    assert status == 0 and "sessions go on" not in said
    assert [path.read_bytes() for path in modules] == expected


def test_a_pin_comes_from_a_pipe_for_all_sessions(tokens: Tokens, modules: list[Path], tmp_path: Path) -> None:
    pipe = tmp_path / "pin"
    os.mkfifo(pipe)
    uri = f"{KEY.format(token='release')}?pin-source=file:{pipe}"
    with ThreadPoolExecutor(1) as pool:
        pool.submit(pipe.write_text, softhsm.PIN)
        words = ("--key", uri, *SIGN, "--cert", tokens.certificate, "--sessions", "3")
        assert kbuildpy("sign", tmp_path / "build", *words, timeout=60).returncode == 0


def test_sessions_are_for_tokens_and_a_few(tokens: Tokens, modules: list[Path], tmp_path: Path) -> None:
    done = kbuildpy("sign", modules[0], "--key", tokens.certificate, *SIGN, "--sessions", "2")
    assert done.returncode == 2 and "a key in a file needs no sessions" in done.error_text
    assert tokens.sign(modules[0], "--sessions", "0")[0] == 2
    assert tokens.sign(modules[0], "--sessions", "1000")[0] == 2


@pytest.mark.sweep
def test_eight_sessions_of_a_slow_token_take_a_third_of_the_time_of_one(tokens: Tokens, tmp_path: Path) -> None:
    modules = [tmp_path / f"m{number}.ko" for number in range(200)]

    def seconds(sessions: int) -> float:
        for number, path in enumerate(modules):
            path.write_bytes(CONTENTS + bytes([number]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOKEN_DELAY", "100000")
            began = time.monotonic()
            assert tokens.sign(tmp_path, "--sessions", str(sessions))[0] == 0
        return time.monotonic() - began

    one, eight = seconds(1), seconds(8)
    print(f"200 modules, 0.1 s each: one session {one:.1f} s, eight {eight:.1f} s")
    assert one > 20.0
    assert eight < one / 3


def start_all(tokens: Tokens, count: int, *words: str | Path) -> list[subprocess.Popen[bytes]]:
    """`kbuildpy sign` in `count` processes beside this one. (SoftHSM does not find a token that another process is just
    logging in to, so they begin one after the other.)"""
    keys = ["--key", KEY.format(token="release"), *SIGN, "--cert", str(tokens.certificate)]
    found = []
    for number in range(count):
        found.append(
            subprocess.Popen(
                [*own_command("sign"), *map(str, words), *keys],
                env={**os.environ, "KBUILD_SIGN_PIN": softhsm.PIN},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        while tokens.counting.logins <= number and found[-1].poll() is None:
            time.sleep(0.01)
        time.sleep(0.2)
    return found


def test_processes_with_one_queue_sign_each_module_once(tokens: Tokens, modules: list[Path], tmp_path: Path) -> None:
    expected = signed_by_sign_file(tokens, modules, tmp_path)
    words = (tmp_path / "build", "--queue", tmp_path / "queue", "--manifest", tmp_path / "signed.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN_DELAY", "100000")
        done = [(process.communicate(), process.returncode) for process in start_all(tokens, 3, *words)]
    assert [status for _, status in done] == [0] * 3, [said for (_, said), _ in done]
    counts = [int(said.decode().partition(" signed")[0].rpartition(" ")[2]) for (_, said), _ in done]
    assert sum(counts) == len(modules) and sum(count > 0 for count in counts) > 1
    assert tokens.counting.signatures == len(modules)
    assert [path.read_bytes() for path in modules] == expected
    assert sorted(Path(line.path) for line in read_manifest(tmp_path / "signed.json")) == sorted(modules)
    assert not (tmp_path / "queue").exists() and not (tmp_path / "queue.done").exists()


def test_a_manifest_is_the_same_from_each_directory(tokens: Tokens, modules: list[Path], tmp_path: Path) -> None:
    for place, build, queue, manifest in ((tmp_path, "build", "q", "man"), (tmp_path / "build", ".", "../q", "../man")):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            (tmp_path / "build" / "m0.ko").write_bytes(CONTENTS + b"new")
            assert tokens.sign(build, "--queue", queue, "--manifest", manifest)[0] == 0
    assert {Path(line.path) for line in read_manifest(tmp_path / "man")} == set(modules)


def test_processes_with_one_manifest_name_the_key_of_each_module(
    tokens: Tokens, modules: list[Path], tmp_path: Path
) -> None:
    words = (tmp_path / "build", "--manifest", tmp_path / "signed.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN_DELAY", "100000")
        for process in start_all(tokens, 2, *words):
            _, said = process.communicate()
            assert process.returncode == 0, said
    # (who finds a module signed, the line of which is still to come, adds one; the last of a module counts)
    lines = {Path(line.path): line for line in read_manifest(tmp_path / "signed.json")}
    assert sorted(lines) == sorted(modules)
    assert all(line.key for line in lines.values())


def test_a_killed_process_leaves_its_part_of_the_queue_to_the_others(
    tokens: Tokens, modules: list[Path], tmp_path: Path
) -> None:
    words = (tmp_path / "build", "--queue", tmp_path / "queue")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN_DELAY", "100000")
        killed, other = start_all(tokens, 2, *words)
        while tokens.counting.signatures < 10:
            time.sleep(0.01)
            assert other.poll() is None
        killed.send_signal(signal.SIGKILL)
        _, said = other.communicate()
        killed.communicate()
    assert other.returncode == 0, said
    assert all(path.read_bytes().endswith(b"~Module signature appended~\n") for path in modules)
    # Those that were with the token, or on their way to the disk, when the process was killed are signed again.
    assert len(modules) <= tokens.counting.signatures <= len(modules) + JOBS


def test_a_queue_is_for_one_signer_and_one_set_of_modules(tokens: Tokens, modules: list[Path], tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    (tmp_path / "build" / "broken.ko").write_bytes(b"")
    # (what cannot be signed keeps the queue)
    assert tokens.sign(tmp_path / "build", "--queue", queue)[0] == 1
    assert queue.exists()
    status, said = tokens.sign(modules[0], "--queue", queue)
    assert status == 2 and "a queue with other modules" in said
    status, said = tokens.sign(tmp_path / "build", "--queue", queue, "--key-id")
    assert status == 2 and "a queue of another signer" in said
    (tmp_path / "build" / "broken.ko").write_bytes(CONTENTS)
    # So is one whose time is the epoch, which an empty mark would mean.
    os.utime(modules[1], ns=(0, 0))
    modules[2].write_bytes(CONTENTS + b"again")
    os.utime(modules[2], ns=(0, -(10**18)))
    # A module that was built again is one to sign again, though the queue had it as done.
    modules[0].write_bytes(CONTENTS + b"again")
    tokens.counting.forget()
    assert tokens.sign("--queue", queue)[0] == 0
    assert tokens.counting.signatures == 3 and not queue.exists()
    status, said = tokens.sign("--queue", queue)
    assert status == 2 and "it is finished, or not made yet" in said
    (tmp_path / "queue.done").write_text("mine")
    status, said = tokens.sign(tmp_path / "build", "--queue", queue)
    assert status == 1 and "queue.done is in the way" in said and (tmp_path / "queue.done").read_text() == "mine"
    (tmp_path / "queue.done").unlink()
    queue.write_text(json.dumps({"queue": 1, "purpose": "", "files": ["\ud800.ko"]}))
    assert tokens.sign("--queue", queue)[0] == 1
    queue.write_text("no queue\n")
    status, said = tokens.sign(tmp_path / "build", "--queue", queue)
    assert status == 1 and "not a queue of modules to sign" in said and queue.read_text() == "no queue\n"
