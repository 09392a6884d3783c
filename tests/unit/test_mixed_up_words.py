# SPDX-License-Identifier: GPL-2.0-only
"""Words of a call in each other's place, and words that the shell or the keyboard changed: what is meant is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.cli import main
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.image import read_kernel
from kbuildpy.package.package_names import package_name, package_version
from kbuildpy.signing.find_key import find_pair
from kbuildpy.vm.programs import read_test


def no_passphrase(name: str) -> str | None:
    raise AssertionError(name)


def test_a_project_named_before_its_template(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["new", "demo", "misc", "-o", str(tmp_path / "demo")]) == 2
    assert "the template comes first: kbuildpy new misc demo" in capsys.readouterr().err


def test_a_key_in_place_of_its_certificate(tmp_path: Path) -> None:
    assert main(["keygen", str(tmp_path / "a.pem"), "--algorithm", "p-256", "-q"]) == 0
    with pytest.raises(KbuildError) as caught:
        find_pair(str(tmp_path / "a.crt"), str(tmp_path / "a.pem"), no_passphrase)
    assert "it is a private key, which --key names; --cert names a certificate" in caught.value.hint


@pytest.mark.parametrize("name", ["pkcs:token=release", "pkcs1:token=x;object=y", "PKCS:object=y"])
def test_a_misspelt_scheme_of_a_token(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        find_pair(name, "", no_passphrase)
    assert caught.value.hint == "a key on a token is named pkcs11:..."


def test_a_misspelt_library_of_a_token(tmp_path: Path) -> None:
    pytest.importorskip("pkcs11")
    (tmp_path / "libsofthsm2.so").touch()
    with pytest.raises(KbuildError) as caught:
        find_pair(f"pkcs11:token=x?module-path={tmp_path}/libsofthsm.so", "", no_passphrase)
    assert caught.value.hint == "did you mean libsofthsm2.so?"


def test_a_module_whose_name_no_package_can_have() -> None:
    with pytest.raises(UsageError) as caught:
        package_name("", ["i"])
    assert caught.value.message == "i, the module's name: not the name of a package"
    assert caught.value.hint.startswith("add --name NAME")
    with pytest.raises(UsageError) as caught:
        package_version("", ["v1.0"])
    assert caught.value.message == "v1.0, the modules' version: not a version that all formats can have"


def test_a_kernel_without_its_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Kbuild").write_text("obj-m := x.o\n")
    assert main(["build", str(tmp_path), "6.1.0-56-amd64"]) == 2
    assert f"a kernel is named with -k: kbuildpy build {tmp_path} -k 6.1.0-56-amd64" in capsys.readouterr().err


def test_a_module_in_place_of_a_kernel(tmp_path: Path) -> None:
    (tmp_path / "drv.ko").write_bytes(b"\x7fELF")
    with pytest.raises(KbuildError) as caught:
        read_kernel(tmp_path / "drv.ko")
    assert caught.value.hint == "it is a module's name: kernels are named before modules"


def test_a_symbol_in_place_of_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "class_create"]) == 2
    assert "is it a symbol? kbuildpy explain --symbol class_create" in capsys.readouterr().err


def test_a_misspelt_test(tmp_path: Path) -> None:
    (tmp_path / "smoke.sh").touch()
    with pytest.raises(UsageError) as caught:
        read_test(f"{tmp_path}/smok.sh")
    assert caught.value.hint == "did you mean smoke.sh?"
