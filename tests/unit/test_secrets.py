# SPDX-License-Identifier: GPL-2.0-only
"""A private key and its passphrase: read once, in no child's environment, and in no core dump."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from kbuildpy.cli.terminal import ask_passphrase
from kbuildpy.errors import KbuildError
from kbuildpy.files import read_limited
from kbuildpy.kbuild.make_environment import base_environment, environment_key
from kbuildpy.pin import pin_taken, signing_pin
from kbuildpy.run import run
from kbuildpy.signing.find_key import find_key, find_pair
from kbuildpy.signing.private_key import Passphrase
from tests.support.keys import write_pair

PIN = "correct horse"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("keys"), "p256", passphrase=PIN)


def test_programs_that_are_run_do_not_get_the_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBUILD_SIGN_PIN", PIN)
    with pin_taken():
        assert signing_pin() == PIN
        assert PIN not in run(["env"]).text
        assert "KBUILD_SIGN_PIN" not in os.environ
    assert os.environ["KBUILD_SIGN_PIN"] == PIN
    assert signing_pin() == PIN


def test_make_does_not_get_it_and_no_name_in_the_cache_is_made_from_it() -> None:
    with_pin, without = {"A": "b", "KBUILD_SIGN_PIN": PIN}, {"A": "b"}
    assert "KBUILD_SIGN_PIN" not in base_environment(with_pin, "/")
    assert environment_key(with_pin) == environment_key(without)


def test_a_command_takes_it_before_it_starts_anything(tmp_path: Path) -> None:
    """Seen from a program that the command starts: the compiler, which a kernel tree is asked about."""
    (tmp_path / "sub").mkdir()
    script = """
import os, sys
from kbuildpy import cli
from kbuildpy.run import run
def command(args):
    print(run(["env"]).text)
    return 0
cli.import_module = lambda name: type(sys)("command")
import types
module = types.SimpleNamespace(add_arguments=lambda parser: None, run=command, EXAMPLES=())
cli.import_module = lambda name: module
sys.exit(cli.main(["kernels"]))
"""
    environment = {**os.environ, "KBUILD_SIGN_PIN": PIN}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "PATH=" in done.stdout
    assert PIN not in done.stdout


def test_a_key_and_its_certificate_come_out_of_a_pipe_that_is_read_once(pair: Path) -> None:
    for certificate in ("", "the key's"):
        reader, writer = os.pipe()
        os.write(writer, pair.read_bytes())
        os.close(writer)
        name = f"/dev/fd/{reader}"
        key, found = find_pair(name, name if certificate else "", lambda name: PIN)
        os.close(reader)
        assert key.algorithm == "ecdsa"
        assert found.subject.rfc4514_string().endswith("O=Tests")


def test_a_device_without_an_end_is_no_key() -> None:
    with pytest.raises(KbuildError, match="/dev/zero: File too large"):
        find_pair("/dev/zero", "", lambda name: None)
    with pytest.raises(OSError, match="File too large"):
        read_limited(Path("/dev/zero"), 1000)


@pytest.mark.parametrize("find", [find_key, lambda name, passphrase: find_pair(name, "", passphrase)])
def test_a_key_on_a_token_is_kept_out_of_core_dumps(
    find: Callable[[str, Passphrase], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[tuple[int, int]] = []
    # (this process may have lowered its own limits, and not every root can raise them)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (0, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    with pytest.raises(KbuildError, match="/none: no such PKCS#11 library"):
        find("pkcs11:token=none?module-path=/none", lambda name: None)
    assert limits == [(1, 1)]


def test_a_key_in_a_file_is_kept_out_of_core_dumps(pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (0, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    find_key(str(pair), lambda name: PIN)
    assert limits == [(1, 1)]


CRASH = """
import ctypes, os, resource, sys
from pathlib import Path
from kbuildpy.signing.file_key import load_key
load_key(Path(sys.argv[1]), lambda name: sys.argv[2])
print(*resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.kill(os.getpid(), 11)
"""


def test_a_process_that_has_a_key_leaves_no_core_dump(pair: Path, tmp_path: Path) -> None:
    def unlimited() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        for most in (hard, resource.RLIM_INFINITY):
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_CORE, (most, most))

    process = subprocess.Popen(
        [sys.executable, "-c", CRASH, pair, PIN], cwd=tmp_path, stdout=subprocess.PIPE, preexec_fn=unlimited
    )
    assert process.stdout
    with process.stdout:
        said = process.stdout.read().split()
    # (subprocess does not tell of dumps)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WIFSIGNALED(status) and not os.WCOREDUMP(status)
    assert said == [b"1", b"1"] or (said == [b"0", b"0"] and os.geteuid() != 0)
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_ends_is_no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(KbuildError, match=r"k\.pem: no passphrase was typed") as refused:
        ask_passphrase("k.pem")
    assert "KBUILD_SIGN_PIN" in refused.value.hint
