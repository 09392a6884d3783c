"""Contents that cannot be decompressed are told in the terms of the file that they came from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy import compression
from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.own_modules import read_module

AGAIN = "the file is damaged: build, compress or copy it again"


@pytest.mark.parametrize(
    ("stderr", "shown"),
    [
        ("/*stdin*\\ : Read error (39) : premature end \n", "Read error (39) : premature end"),
        ("zstd: /*stdin*\\: unsupported format \n", "unsupported format"),
        ("Warning : something\nError 52 : Read error\n", "Error 52 : Read error"),
        ("", "no reason given"),
    ],
)
def test_a_programs_name_for_standard_input_is_not_shown(
    stderr: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: list[str], *, input: bytes) -> None:
        raise CommandError("it failed", stderr=stderr)

    monkeypatch.setattr(compression, "run", run)
    monkeypatch.setattr(compression, "_decompressor", lambda name: None)
    with pytest.raises(KbuildError) as failed:
        compression.decompress(b"\x28\xb5\x2f\xfd")
    assert failed.value.message == f"damaged zstd contents: {shown}"


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_a_damaged_module_is_named_once_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "cut.ko.zst"
    file.write_bytes(b"\x28\xb5\x2f\xfd\x24\x05")
    with pytest.raises(KbuildError) as failed:
        read_module(file)
    assert failed.value.message.startswith(f"{file}: damaged zstd contents: ")
    assert "stdin" not in failed.value.message
    assert failed.value.hint == AGAIN
