# SPDX-License-Identifier: GPL-2.0-only
"""Keys on a token: the same signatures as from the same key in a file, and nothing that could lock or leak."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cryptography
import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
    load_pem_private_key,
)

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.signing.file_key import load_key
from kbuildpy.signing.find_key import environment_passphrase, find_certificate, find_key, find_pair
from kbuildpy.signing.hashes import HASHES, find_hash
from kbuildpy.signing.library_calls import LibraryCalls
from kbuildpy.signing.pkcs11 import TokenKey
from kbuildpy.signing.pkcs11_login import log_in
from kbuildpy.signing.pkcs11_uri import parse_pkcs11_uri
from kbuildpy.signing.private_key import KeyGoneError
from tests.support import softhsm

KEYS: dict[str, Callable[[], Any]] = {
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
    "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p-384": lambda: ec.generate_private_key(ec.SECP384R1()),
}
WRONG = "4712-wrong"
NEW_CRYPTOGRAPHY = int(cryptography.__version__.partition(".")[0]) >= 50
UNKNOWN_CURVE = "of a kind that modules" if NEW_CRYPTOGRAPHY else "(of a kind that modules|not an X.509 certificate)"
"""(older ones tell a curve that they do not know from nonsense only in some cases)"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a token called `release`; its keys lie there as files too."""
    directory = tmp_path_factory.mktemp("token")
    with pytest.MonkeyPatch.context() as patch:
        softhsm.configure(directory, patch)
        softhsm.make_token("release")
        softhsm.make_token("guarded")
        for number, (name, generate) in enumerate(KEYS.items(), 1):
            file = directory / f"{name}.pem"
            file.write_bytes(generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            softhsm.import_key("release", file, name, f"{number:02x}")
        softhsm.restart()
        yield directory


@pytest.fixture
def session(keys: Path) -> Iterator[Any]:
    """A session of python-pkcs11's that may write to the token."""
    softhsm.restart()  # no session of another test is logged in
    opened = (
        pkcs11.lib(str(softhsm.MODULE.resolve())).get_token(token_label="release").open(rw=True, user_pin=softhsm.PIN)
    )
    yield opened
    opened.close()


def token_key(name: str) -> TokenKey:
    found = find_key(f"pkcs11:token=release;object={name}", lambda _: softhsm.PIN)
    assert isinstance(found, TokenKey)
    return found


@pytest.mark.parametrize("hash", HASHES)
@pytest.mark.parametrize("name", ["rsa-2048", "rsa-4096"])
def test_makes_the_same_rsa_signature_as_the_key_in_a_file(keys: Path, name: str, hash: str) -> None:
    in_file = load_key(keys / f"{name}.pem", lambda _: None)
    on_token = token_key(name)
    assert on_token.algorithm == "rsa"
    assert on_token.public_bytes() == in_file.public_bytes()
    assert on_token.sign(b"a module", find_hash(hash)) == in_file.sign(b"a module", find_hash(hash))


@pytest.mark.parametrize("hash", HASHES)
@pytest.mark.parametrize("name", ["p-256", "p-384"])
def test_makes_ecdsa_signatures_that_the_public_key_verifies(keys: Path, name: str, hash: str) -> None:
    on_token = token_key(name)
    assert on_token.algorithm == "ecdsa"
    assert on_token.public_bytes() == load_key(keys / f"{name}.pem", lambda _: None).public_bytes()
    public = load_der_public_key(on_token.public_bytes())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    chosen = find_hash(hash)
    # (r or s has a byte less now and then: what is made of two halves must hold for those too)
    for number in range(20):
        contents = b"module %d" % number
        signature = on_token.sign(contents, chosen)
        public.verify(signature, chosen.of(contents), ec.ECDSA(Prehashed(chosen.algorithm())))


def test_signs_from_many_threads(keys: Path) -> None:
    # Two sessions: what one has is guarded by python-pkcs11, but SoftHSM fails when two are used at once.
    sessions, in_file = [token_key("rsa-2048") for _ in range(2)], load_key(keys / "rsa-2048.pem", lambda _: None)
    hash = find_hash("sha256")
    contents = [b"module" * number for number in range(300)]
    with ThreadPoolExecutor(8) as pool:
        signed = list(pool.map(lambda item: sessions[len(item) % 2].sign(item, hash), contents))
    assert signed == [in_file.sign(item, hash) for item in contents]


@pytest.mark.parametrize(("bits", "hash", "size"), [(256, "sha512", 32), (384, "sha512", 48), (521, "sha512", 64)])
def test_no_more_of_a_digest_goes_to_a_token_than_its_curve_has_room_for(bits: int, hash: str, size: int) -> None:
    given: list[bytes] = []

    def operate(digest: bytes, *, mechanism: Any) -> bytes:
        given.append(digest)
        return bytes([0] * 31 + [1] + [0] * 31 + [2])

    public = SimpleNamespace(curve=SimpleNamespace(key_size=bits))
    signed = TokenKey("ecdsa", "key", public, None, operate).sign(b"a module", find_hash(hash))
    assert given == [find_hash(hash).of(b"a module")[:size]]
    assert signed == bytes.fromhex("3006020101020102")  # a SEQUENCE of the INTEGERs 1 and 2


def test_calls_the_library_from_one_thread_at_a_time(keys: Path) -> None:
    inside: list[bytes] = []
    most = 0

    def operate(digest: bytes, *, mechanism: Any) -> bytes:
        nonlocal most
        inside.append(digest)
        most = max(most, len(inside))
        time.sleep(0.002)
        inside.pop()
        return b""

    sessions = [TokenKey("rsa", f"key {number}", None, None, operate) for number in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: sessions[number % 2].sign(b"", find_hash("sha256")), range(32)))
    assert most == 1


def test_finds_a_key_by_its_id_and_by_what_the_token_says_of_itself(keys: Path) -> None:
    serial = pkcs11.lib(str(softhsm.MODULE.resolve())).get_token(token_label="release").serial.decode().strip()
    found = find_key(f"pkcs11:model=SoftHSM%20v2;serial={serial};id=%03;type=private", lambda _: softhsm.PIN)
    assert found.public_bytes() == load_key(keys / "p-256.pem", lambda _: None).public_bytes()


def test_finds_the_certificate_beside_the_key(keys: Path, session: Any) -> None:
    certificate = self_signed(keys / "rsa-2048.pem", keys)
    session.create_object(
        {
            **pkcs11.util.x509.decode_x509_certificate(certificate),
            pkcs11.Attribute.ID: b"\1",
            pkcs11.Attribute.TOKEN: True,
        }
        | {pkcs11.Attribute.LABEL: "certificate of release"}
    )
    key = token_key("rsa-2048")
    assert key.certificate() == x509.load_der_x509_certificate(certificate)
    assert find_certificate("pkcs11:token=release;id=%01") == x509.load_der_x509_certificate(certificate)
    assert token_key("rsa-4096").certificate() is None
    found, beside = find_pair("pkcs11:token=release;object=rsa-2048", "", lambda _: softhsm.PIN)
    assert (found.algorithm, beside) == ("rsa", x509.load_der_x509_certificate(certificate))
    with pytest.raises(KbuildError, match="the token has no certificate for this key"):
        find_pair("pkcs11:token=release;object=rsa-4096", "", lambda _: softhsm.PIN)
    with pytest.raises(KbuildError, match="no certificate") as raised:
        find_certificate("pkcs11:token=release;object=none")
    assert raised.value.hint == "there are: certificate of release"


@pytest.mark.parametrize(
    ("kind", "said"), [("damaged", "not an X.509 certificate"), ("of an unknown curve", UNKNOWN_CURVE)]
)
def test_a_certificate_that_cannot_be_read_is_named(kind: str, said: str, keys: Path, session: Any) -> None:
    der = self_signed(keys / "p-256.pem", keys)
    # (the last arc of prime256v1 makes no curve that anybody knows)
    damaged = der[:-200] if kind == "damaged" else der.replace(b"\xce\x3d\3\1\7", b"\xce\x3d\3\1\x63")
    assert damaged != der
    template = {**pkcs11.util.x509.decode_x509_certificate(der), pkcs11.Attribute.VALUE: damaged}
    names = {pkcs11.Attribute.LABEL: "odd", pkcs11.Attribute.ID: b"\3", pkcs11.Attribute.TOKEN: True}
    made = session.create_object({**template, **names})
    try:
        for uri in ("pkcs11:token=release;object=odd", "pkcs11:token=release;object=p-256"):
            with pytest.raises(KbuildError, match=f"^{uri}: .*{said}"):
                find_certificate(uri) if "odd" in uri else token_key("p-256").certificate()
    finally:
        made.destroy()


def test_signs_with_a_key_that_takes_the_pin_each_time(keys: Path, session: Any) -> None:
    attributes = pkcs11.util.rsa.decode_rsa_private_key(
        load_der(keys / "rsa-2048.pem").private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    session.create_object(
        {
            **attributes,
            pkcs11.Attribute.TOKEN: True,
            pkcs11.Attribute.PRIVATE: True,
            pkcs11.Attribute.ALWAYS_AUTHENTICATE: True,
            pkcs11.Attribute.LABEL: "9c",
            pkcs11.Attribute.ID: b"\x9c",
        }
    )
    key, in_file = token_key("9c"), load_key(keys / "rsa-2048.pem", lambda _: None)
    for contents in (b"one", b"two"):
        assert key.sign(contents, find_hash("sha256")) == in_file.sign(contents, find_hash("sha256"))
    assert softhsm.PIN not in repr(key)


@pytest.mark.parametrize(
    ("uri", "message", "hint"),
    [
        ("token=no", "no token with token=no", "there are: guarded, release"),
        ("token=release;object=no", "no private key pkcs11:token=release;object=no", "rsa-2048"),
        ("token=release;id=%01;object=p-256", "no private key", "p-256"),
        ("", "token: 2 match", "there are: guarded, release"),
        ("token=release", "private key pkcs11:token=release: \\d match", "object or id"),
        ("token=release;type=cert", "type=cert is not a private key", "type=private"),
        (
            "token=release?module-path=/none/libykcs11.so",
            "/none/libykcs11.so: no such PKCS#11 library",
            "install ykcs11",
        ),
        ("token=release?module-name=opensc-none", "opensc-none: no such", "install opensc-pkcs11"),
        ("token=release?module-name=other", "other: no such", "came with the token"),
        (f"token=release?module-path={__file__}", "does not start", ""),
    ],
)
def test_says_what_is_missing_and_what_is_there(keys: Path, uri: str, message: str, hint: str) -> None:
    with pytest.raises(KbuildError, match=message) as raised:
        find_key(f"pkcs11:{uri}", lambda _: softhsm.PIN)
    assert hint in raised.value.hint


def test_finds_the_library_by_the_name_that_p11_kit_has_for_it(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKCS11_MODULE_PATH")
    key = find_key("pkcs11:token=release;object=p-256?module-name=softhsm2", lambda _: softhsm.PIN)
    assert key.algorithm == "ecdsa"


@pytest.mark.parametrize("source", ["environment", "file"])
def test_takes_the_pin_from(source: str, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pin").write_text(f"{softhsm.PIN}\n")
    monkeypatch.setenv("KBUILD_SIGN_PIN", WRONG if source == "file" else softhsm.PIN)
    query = f"?pin-source=file:{tmp_path}/pin" if source == "file" else ""
    softhsm.restart()
    assert find_key(f"pkcs11:token=release;object=p-256{query}", environment_passphrase()).algorithm == "ecdsa"


@pytest.mark.parametrize("answer", [None, ""])
def test_does_not_try_to_log_in_without_a_pin(keys: Path, answer: str | None) -> None:
    softhsm.restart()
    with pytest.raises(KbuildError, match="token release needs a PIN") as raised:
        find_key("pkcs11:token=release;object=p-256", lambda _: answer)
    assert "KBUILD_SIGN_PIN" in raised.value.hint


def test_gives_a_wrong_pin_once_and_shows_it_nowhere(keys: Path) -> None:
    softhsm.restart()
    asked: list[str] = []

    def answer(name: str) -> str:
        asked.append(name)
        return WRONG

    with pytest.raises(
        KbuildError, match=r"the PIN is wrong; it is not tried again. .* wrong PINs were given"
    ) as raised:
        find_key("pkcs11:token=guarded;object=x", answer)
    assert asked == ["token guarded (its PIN)"]
    error = raised.value
    assert error.__context__ is None and error.__cause__ is None
    frames = [item for item in traceback.walk_tb(error.__traceback__) if "/kbuildpy/" in item[0].f_code.co_filename]
    assert frames
    assert WRONG not in "".join(repr(frame.f_locals) for frame, _ in frames)
    assert WRONG not in "".join(traceback.format_exception(error))


class FakeToken:
    """A token that tells of itself what SoftHSM, which never locks, cannot."""

    label = "card"

    def __init__(self, *flags: str, after: tuple[str, ...] = (), answer: str = "PinIncorrect") -> None:
        def value(names: tuple[str, ...]) -> Any:
            found = pkcs11.TokenFlag.LOGIN_REQUIRED | pkcs11.TokenFlag.USER_PIN_INITIALIZED
            for name in names:
                found |= pkcs11.TokenFlag[name]
            return found

        self.flags = value(flags)
        self.slot = SimpleNamespace(get_token=lambda: SimpleNamespace(flags=value(after)))
        self.tries: list[object] = []
        self.answer = answer

    def open(self, *, user_pin: object) -> object:
        self.tries.append(user_pin)
        raise getattr(pkcs11, self.answer)


@pytest.mark.parametrize(
    ("flag", "said"), [("USER_PIN_FINAL_TRY", "one try left before it locks"), ("USER_PIN_LOCKED", "is locked")]
)
def test_does_not_make_the_last_try_of_a_token(keys: Path, flag: str, said: str) -> None:
    token = FakeToken("USER_PIN_COUNT_LOW", flag)
    with pytest.raises(KbuildError, match=said):
        log_in(token, parse_pkcs11_uri("pkcs11:"), lambda _: WRONG, LibraryCalls())
    assert token.tries == []


@pytest.mark.parametrize(
    ("flag", "said"), [("USER_PIN_FINAL_TRY", "has one try left"), ("USER_PIN_LOCKED", "is locked now")]
)
def test_says_how_near_a_token_is_to_locking_itself(keys: Path, flag: str, said: str) -> None:
    token = FakeToken(after=("USER_PIN_COUNT_LOW", flag))
    with pytest.raises(KbuildError, match=f"wrong; it is not tried again. The token {said}"):
        log_in(token, parse_pkcs11_uri("pkcs11:"), lambda _: WRONG, LibraryCalls())
    assert token.tries == [WRONG]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("PinIncorrect", "token card: the PIN is wrong; it is not tried again"),
        ("PinLenRange", "token card: the PIN is wrong; it is not tried again"),
        ("PinLocked", "token card is locked: too many wrong PINs"),
        ("PinExpired", "token card: the PIN has expired"),
        ("DeviceError", "token card: cannot log in (DeviceError)"),
    ],
)
def test_says_why_a_token_refuses_to_log_in(answer: str, said: str, keys: Path) -> None:
    token = FakeToken(answer=answer)
    with pytest.raises(KbuildError) as raised:
        log_in(token, parse_pkcs11_uri("pkcs11:"), lambda _: WRONG, LibraryCalls())
    assert raised.value.message == said
    assert token.tries == [WRONG]


def test_leaves_the_pin_to_a_token_with_a_keypad(keys: Path) -> None:
    token = FakeToken("PROTECTED_AUTHENTICATION_PATH")
    with pytest.raises(KbuildError, match="wrong"):
        log_in(token, parse_pkcs11_uri("pkcs11:"), lambda _: pytest.fail("asked for a PIN"), LibraryCalls())
    assert token.tries == [pkcs11.PROTECTED_AUTH]


def test_stops_when_the_token_is_gone(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        softhsm.configure(tmp_path, monkeypatch)
        softhsm.make_token("release")
        softhsm.import_key("release", keys / "rsa-2048.pem", "k", "01")
        softhsm.restart()
        key = token_key("k")
        assert key.sign(b"a module", find_hash("sha256"))
        shutil.rmtree(tmp_path / "tokens")
        with pytest.raises(KeyGoneError, match="object=k: the token failed") as raised:
            key.sign(b"another module", find_hash("sha256"))
        assert "unplugged" in raised.value.hint
        assert raised.value.__context__ is None
    finally:
        monkeypatch.undo()
        softhsm.restart()


def test_keys_in_files_do_without_the_pkcs11_library(keys: Path) -> None:
    script = (
        "import sys; sys.modules['pkcs11'] = None\n"
        "from kbuildpy.signing.find_key import find_key\n"
        "from kbuildpy.errors import KbuildError\n"
        f"print(find_key({str(keys / 'p-256.pem')!r}, lambda name: None).algorithm)\n"
        "try:\n    find_key('pkcs11:token=release', lambda name: None)\n"
        "except KbuildError as error:\n    print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["ecdsa", "pip install python-pkcs11"]


def test_refuses_a_kind_of_key_that_no_kernel_takes(keys: Path, session: Any) -> None:
    curve = pkcs11.util.ec.encode_named_curve_parameters("secp256k1")
    parameters = session.create_domain_parameters(pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True)
    parameters.generate_keypair(store=True, label="bitcoin", id=b"\x77")
    with pytest.raises(UsageError, match="curve"):
        token_key("bitcoin")


def self_signed(key: Path, directory: Path) -> bytes:
    """A certificate (DER) for a key in a file, by openssl."""
    made = directory / "certificate.der"
    command = [
        "openssl",
        "req",
        "-new",
        "-x509",
        "-key",
        str(key),
        "-subj",
        "/CN=release",
        "-outform",
        "DER",
        "-out",
        str(made),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return made.read_bytes()


def load_der(key: Path) -> Any:
    """cryptography's object for a key in a file."""
    return load_pem_private_key(key.read_bytes(), None)
