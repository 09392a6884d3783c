# SPDX-License-Identifier: GPL-2.0-only
"""Names of keys on tokens: what RFC 7512 allows is understood, what could mean another key is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.signing.key_name import is_pkcs11_uri
from kbuildpy.signing.pkcs11_uri import parse_pkcs11_uri, read_pin


def test_understands_what_p11tool_prints() -> None:
    uri = parse_pkcs11_uri(
        "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;serial=05ae;token=release%3Bkeys;"
        "id=%01%ff;object=m%C3%B6d;type=private?module-path=/usr/lib/a%20b.so&pin-source=file:/run/pin"
    )
    assert uri.token == {
        "model": "SoftHSM v2",
        "manufacturer": "SoftHSM project",
        "serial": "05ae",
        "token": "release;keys",
    }
    assert (uri.id, uri.object, uri.type) == (b"\x01\xff", "möd", "private")
    assert (uri.module_path, uri.pin_source) == (Path("/usr/lib/a b.so"), Path("/run/pin"))
    assert str(uri).endswith("token=release;keys;object=möd;id=01:ff")


@pytest.mark.parametrize("source", ["file:/run/pin", "/run/pin", "file:///run/pin", "FILE://host/run/pin"])
def test_takes_a_pin_source_as_a_path_and_as_a_file_uri(source: str) -> None:
    assert parse_pkcs11_uri(f"pkcs11:?pin-source={source}").pin_source == Path("/run/pin")


def test_tells_a_uri_from_a_path() -> None:
    assert is_pkcs11_uri("PKCS11:token=x")
    assert not is_pkcs11_uri("keys/pkcs11:token=x")
    assert not is_pkcs11_uri("pkcs11.pem")


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:token=x?pin-value=se%63ret-4711",
        "pkcs11:token=x&pin-value=secret-4711",
        "pkcs11:token=x;pin-value=secret-4711",
        "pkcs11:token=x?PIN-VALUE=secret-4711",
        "pkcs11:token=x?pin%2Dvalue=secret-4711",
    ],
)
def test_refuses_a_pin_that_everybody_could_read_and_does_not_repeat_it(uri: str) -> None:
    with pytest.raises(UsageError, match="everybody") as raised:
        parse_pkcs11_uri(uri)
    assert "4711" not in str(raised.value)
    assert "KBUILD_SIGN_PIN" in raised.value.hint


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("pkcs11:token=x;colour=red", "colour"),
        ("pkcs11:token=x;object", "object"),
        ("pkcs11:token=x;token=y", "twice"),
        ("pkcs11:module-path=/x.so", "before the \\?"),
        ("pkcs11:token=x?object=y", "after the \\?"),
        ("pkcs11:type=key", "type=key"),
        ("pkcs11:?pin-source=%7Cget-pin", "program"),
        ("pkcs11:?pin-source=file:/a%00b", "NUL"),
    ],
)
def test_refuses_what_could_name_another_key(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_pkcs11_uri(uri)


def test_reads_the_pin_of_a_file_without_the_end_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "pin").write_bytes(b" 47 11 \r\n")
    assert read_pin(tmp_path / "pin") == " 47 11 "


def test_refuses_a_file_that_is_too_large_for_a_pin(tmp_path: Path) -> None:
    (tmp_path / "pin").write_bytes(b"1" * 4096)
    assert len(read_pin(tmp_path / "pin")) == 4096
    (tmp_path / "pin").write_bytes(b"1" * 4097)
    with pytest.raises(KbuildError, match=r"pin-source\): File too large"):
        read_pin(tmp_path / "pin")


@pytest.mark.parametrize("contents", [b"", b"\n", b"4711\xff"])
def test_refuses_a_file_that_holds_no_pin_and_does_not_show_it(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "pin").write_bytes(contents)
    with pytest.raises(KbuildError, match="no PIN") as raised:
        read_pin(tmp_path / "pin")
    assert raised.value.__context__ is None
    assert "4711" not in repr(raised.value)


def test_says_why_the_file_of_a_pin_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match=r"pin-source\): No such file"):
        read_pin(tmp_path / "none")
