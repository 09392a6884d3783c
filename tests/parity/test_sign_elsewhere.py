# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy sign` with a key on another machine: digests out, signatures by kbuildpy or by openssl, signatures in. The
modules are those of sign-file with the same key."""

from __future__ import annotations

import base64
import errno
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from kbuildpy.signing.digest_list import read_digest_list
from kbuildpy.signing.intact import is_intact
from kbuildpy.signing.manifest import read_manifest
from kbuildpy.signing.signer_certificate import load_certificate
from kbuildpy.signing.trailer import split_signature
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import usual_tree
from tests.support.keys import sign_file, write_pair

pytestmark = pytest.mark.parity

CONTENTS = b"\x7fELF" + bytes(range(256)) * 20


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A directory with five modules, two of them the same."""
    (tmp_path / "build").mkdir()
    for number in range(5):
        (tmp_path / "build" / f"m{number}.ko").write_bytes(CONTENTS + bytes([max(number, 1)]))
    return tmp_path / "build"


def sign(*words: str | Path, expect: int = 0) -> str:
    """What `kbuildpy sign` printed."""
    done = kbuildpy("sign", *words)
    assert done.returncode == expect, done.error_text
    return done.text + done.error_text


def signed_by_sign_file(build: Path, pair: Path) -> dict[str, bytes]:
    """What sign-file makes of each module."""
    found = {}
    for path in sorted(build.iterdir()):
        copy = build.parent / "theirs.ko"
        copy.write_bytes(path.read_bytes())
        sign_file(usual_tree(), "sha256", pair, copy)
        found[path.name] = copy.read_bytes()
    return found


def contents(build: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(build.iterdir())}


def openssl_signs(listed: Path, pair: Path) -> None:
    """Answer each request of a list with openssl, as a machine without kbuildpy would."""
    lines = [json.loads(line) for line in listed.read_text().splitlines()]
    for request in lines:
        (listed.parent / "digest").write_bytes(bytes.fromhex(request["digest"]))
        words = ["openssl", "pkeyutl", "-sign", "-inkey", str(pair), "-in", str(listed.parent / "digest")]
        made = subprocess.run([*words, "-pkeyopt", f"digest:{request['hash']}"], check=True, capture_output=True)
        answer = {"digest": request["digest"], "signature": base64.b64encode(made.stdout).decode()}
        with listed.open("a") as file:
            file.write(json.dumps(answer) + "\n")


@pytest.mark.parametrize("by", ["kbuildpy", "openssl"])
def test_a_key_elsewhere_makes_the_modules_of_sign_file(build: Path, tmp_path: Path, by: str) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    expected, before = signed_by_sign_file(build, pair), contents(build)
    listed = tmp_path / "list.json"
    certificate = tmp_path / "only.crt"
    certificate.write_bytes(pair.read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])
    sign(build, "--cert", certificate, "--hash", "sha256", "--export", listed)
    assert contents(build) == before
    if by == "kbuildpy":
        said = sign("--digests", listed, "--key", pair)
        # (two modules are the same, and are signed once)
        assert "4 digests signed" in said
        assert "0 digests signed, 4 were signed already" in sign("--digests", listed, "--key", pair)
    else:
        openssl_signs(listed, pair)
    sign(build, "--cert", certificate, "--import", listed, "--hash", "sha256", "--manifest", tmp_path / "signed.json")
    assert contents(build) == expected
    keys = {(line.key, line.host) for line in read_manifest(tmp_path / "signed.json")}
    assert keys == ({(str(pair), os.uname().nodename)} if by == "kbuildpy" else {("", "")})


@pytest.mark.parametrize("form", ["DER", "r and s side by side"])
def test_signatures_of_ecdsa_come_in_in_both_forms(build: Path, tmp_path: Path, form: str) -> None:
    pair = write_pair(tmp_path, "p256")
    listed = tmp_path / "list.json"
    sign(build, "--cert", pair, "--hash", "sha256", "--export", listed)
    openssl_signs(listed, pair)
    if form != "DER":
        lines = [json.loads(line) for line in listed.read_text().splitlines()]
        for line in lines:
            if "signature" in line:
                parsed = subprocess.run(
                    ["openssl", "asn1parse", "-inform", "DER"],
                    input=base64.b64decode(line["signature"]),
                    capture_output=True,
                    check=True,
                ).stdout.decode()
                r, s = (item.rpartition(":")[2].zfill(64) for item in parsed.splitlines()[1:])
                line["signature"] = base64.b64encode(bytes.fromhex(r + s)).decode()
        listed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sign(build, "--cert", pair, "--import", listed, "--hash", "sha256")
    for module in contents(build).values():
        signed = split_signature(module)
        assert signed and is_intact(signed.contents, signed.signature, load_certificate(pair))


def test_only_the_right_signature_over_the_right_module_comes_in(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    listed = tmp_path / "list.json"
    sign(build, "--cert", pair, "--hash", "sha256", "--export", listed)
    assert "its digest has not been signed yet" in sign(
        build, "--cert", pair, "--import", listed, "--hash", "sha256", expect=1
    )
    sign("--digests", listed, "--key", pair)
    lines = [json.loads(line) for line in listed.read_text().splitlines()]
    requests, answers = [line for line in lines if "path" in line], [line for line in lines if "signature" in line]
    # One signature is for another module's digest, one module has changed, one answer is missing.
    answers[0]["signature"], missing = answers[1]["signature"], answers.pop()
    listed.write_text("".join(json.dumps(line) + "\n" for line in (*requests, *answers)))
    (build / "m3.ko").write_bytes(CONTENTS + b"changed")
    before = contents(build)
    said = sign(build, "--cert", pair, "--import", listed, "--hash", "sha256", expect=1)
    wrong = {item["path"] for item in requests if item["digest"] == answers[0]["digest"]}
    unsigned = {item["path"] for item in requests if item["digest"] == missing["digest"]}
    for path in wrong:
        if not path.endswith("m3.ko"):
            assert f"{path}: the signature over its digest is not one by the certificate's key" in said
    for path in unsigned - {str(build / "m3.ko")}:
        assert f"{path}: its digest has not been signed yet" in said
    assert f"{build}/m3.ko: its digest was not exported" in said
    changed = {name for name, module in contents(build).items() if module != before[name]}
    assert changed == {path.name for path in build.iterdir() if f"{path}: " not in said}


def test_a_list_is_for_one_certificate_and_no_key_is_needed_to_make_it(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    (tmp_path / "other").mkdir()
    other = write_pair(tmp_path / "other", "rsa2048")
    listed = tmp_path / "list.json"
    words = (build, "--hash", "sha256", "--export", listed)
    assert "no certificate" in sign(*words, expect=2)
    assert "--export needs no key" in sign(*words, "--cert", pair, "--key", pair, expect=2)
    sign(*words, "--cert", pair)
    assert "it exists" in sign(*words, "--cert", pair, expect=1)
    assert "for another certificate" in sign("--digests", listed, "--key", other, expect=1)
    assert "for another certificate" in sign(build, "--import", listed, "--cert", other, expect=1)
    assert "the digests in the list are sha256" in sign(
        build, "--import", listed, "--cert", pair, "--hash", "sha512", expect=2
    )
    assert len(read_digest_list(listed).answers) == 0
    assert kbuildpy("keygen", tmp_path / "ml.pem", "-a", "ml-dsa-44").returncode == 0
    said = sign(build, "--cert", tmp_path / "ml.crt", "--hash", "sha512", "--export", tmp_path / "ml.json", expect=1)
    assert "ML-DSA-44 signs a module's contents, not its digest" in said and not (tmp_path / "ml.json").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace('"digest": "', '"digest": "zz', 1), ":1: not a line of a list of digests"),
        (lambda text: text.replace('"hash": "sha256"', '"hash": "md5"', 1), ":1: not a line of a list of digests"),
        (lambda text: text.replace("\n", "\n[]\n", 1), ":2: not a line of a list of digests"),
        (lambda text: "", "no digests in it"),
        (lambda text: text[:100], ":1: not a line of a list of digests"),
    ],
)
def test_a_damaged_list_is_named_and_left_alone(
    build: Path, tmp_path: Path, damage: Callable[[str], str], said: str
) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    listed = tmp_path / "list.json"
    sign(build, "--cert", pair, "--hash", "sha256", "--export", listed)
    damaged = damage(listed.read_text())
    listed.write_text(damaged)
    before = contents(build)
    for words in (("--digests", listed, "--key", pair), (build, "--import", listed, "--cert", pair)):
        assert said in sign(*words, expect=1)
    assert listed.read_text() == damaged and contents(build) == before


def test_a_line_that_a_kill_cut_short_is_signed_again(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    expected = signed_by_sign_file(build, pair)
    listed = tmp_path / "list.json"
    sign(build, "--cert", pair, "--hash", "sha256", "--export", listed)
    sign("--digests", listed, "--key", pair)
    listed.write_bytes(listed.read_bytes()[:-40])
    assert "1 digests signed, 3 were signed already" in sign("--digests", listed, "--key", pair)
    sign(build, "--cert", pair, "--import", listed, "--hash", "sha256")
    assert contents(build) == expected


def test_wrong_signatures_are_made_again_and_no_line_is_lost(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    expected = signed_by_sign_file(build, pair)
    listed = tmp_path / "list.json"
    sign(build, "--cert", pair, "--hash", "sha256", "--export", listed)
    requests = listed.read_text()
    # (an editor, or printf, leaves the last line without its end; some write digests in upper case)
    first = json.loads(requests.splitlines()[0])
    wrong = {"digest": first["digest"].upper(), "signature": base64.b64encode(b"wrong").decode()}
    listed.write_text(requests + json.dumps(wrong))
    assert "4 digests signed" in sign("--digests", listed, "--key", pair)
    sign(build, "--cert", pair, "--import", listed, "--hash", "sha256")
    assert contents(build) == expected
    listed.write_text(requests.rstrip("\n"))
    assert "4 digests signed" in sign("--digests", listed, "--key", pair)
    long = listed.read_text().splitlines(keepends=True)
    listed.write_text("".join([long[0], json.dumps({**wrong, "key": "x" * (1 << 20)}) + "\n", *long[1:]]))
    before = listed.read_bytes()
    assert ":2: not a line of a list" in sign("--digests", listed, "--key", pair, expect=1)
    assert listed.read_bytes() == before


def test_a_list_cannot_choose_a_weak_hash(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    listed = tmp_path / "list.json"
    sign(build, "--cert", pair, "--hash", "sha1", "--export", listed)
    said = sign("--digests", listed, "--key", pair, expect=2)
    assert "the digests in the list are sha1" in said
    sign("--digests", listed, "--key", pair, "--hash", "sha1")
    said = sign(build, "--cert", pair, "--import", listed, "-k", usual_tree().objects, expect=2)
    assert "the digests in the list are sha1, and modules are signed with sha256" in said


def test_options_without_a_meaning_are_refused(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    for words in (
        (build, "--cert", pair, "--hash", "sha256", "--export", tmp_path / "l", "--manifest", tmp_path / "m"),
        ("--digests", tmp_path / "l", "--key", pair, "--replace"),
        (build, "--key", pair, "--hash", "sha256", "--detached", "--manifest", tmp_path / "m"),
    ):
        assert "has no meaning with" in sign(*words, expect=2)
    assert not (tmp_path / "m").exists()


def test_a_list_has_the_digest_of_what_is_signed_or_is_not_made(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    (tmp_path / "other").mkdir()
    other = write_pair(tmp_path / "other", "rsa2048")
    plain = (build / "m1.ko").read_bytes()
    (build / "m1.ko.xz").write_bytes(lzma.compress(plain, check=lzma.CHECK_CRC32))
    sign(build / "m2.ko", "--key", other, "--hash", "sha256")
    words = ("--cert", pair, "--hash", "sha256", "--export", tmp_path / "list.json")
    assert "m2.ko: it is signed already" in sign(build, *words, expect=1)
    assert not (tmp_path / "list.json").exists()
    sign(build, *words, "--replace")
    digests = {Path(item.path).name: item.digest for item in read_digest_list(tmp_path / "list.json").requests}
    assert digests["m1.ko"] == digests["m1.ko.xz"] == sha256(plain).hexdigest()
    assert digests["m2.ko"] == sha256(CONTENTS + bytes([2])).hexdigest()
    (tmp_path / "list.json").unlink()
    (build / "m3.ko").write_bytes(CONTENTS + b"kbuildpy_instrumented=coverage\0")
    assert "m3.ko: instrumented (--coverage), so it is not signed" in sign(build, *words, "--replace", expect=1)
    assert not (tmp_path / "list.json").exists()


def test_one_process_at_a_time_adds_signatures(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    listed = tmp_path / "list.json"
    sign(build, "--cert", pair, "--hash", "sha256", "--export", listed)
    before = listed.read_bytes()
    holds = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX); "
        "print('', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holds, listed], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin and other.stdout and other.stdout.readline()
        assert "another process adds signatures to it" in sign("--digests", listed, "--key", pair, expect=1)
        assert listed.read_bytes() == before
        other.stdin.write(b"\n")
        other.stdin.flush()
    sign("--digests", listed, "--key", pair)


def test_a_full_disk_leaves_no_list(build: Path, tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "rsa2048")
    limited = (
        "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (256, 256)); "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); sys.argv.pop(0); "
        "from kbuildpy.__main__ import run; sys.exit(run())"
    )
    words = ["kbuildpy", "sign", build, "--cert", pair, "--hash", "sha256", "--export", tmp_path / "list.json"]
    done = subprocess.run([sys.executable, "-c", limited, *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and os.strerror(errno.EFBIG) in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "list.json").exists()
