# SPDX-License-Identifier: GPL-2.0-only
"""What is shown of a name neither fakes a line nor commands the terminal, in every text; JSON has it as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.reports.describe import as_matrix
from kbuildpy.loader.reports.describe import as_text as verdict_text
from kbuildpy.loader.verdict import Verdict
from kbuildpy.printable import printable, printable_error
from kbuildpy.signing.describe import as_line, as_modinfo
from kbuildpy.signing.signature_state import SignatureState
from kbuildpy.vm.describe import as_text as result_text
from kbuildpy.vm.result import Result

EVIL = "a\nb.ko: accepted\x1b[32m"
SHOWN = "a\\nb.ko: accepted\\x1b[32m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("drv-1_a b\tä€😀.ko", "drv-1_a b\tä€😀.ko"),
        (EVIL, SHOWN),
        ("\r\x00\x7f\x9b", "\\r\\x00\\x7f\\x9b"),
        ("a\u202eok.b\u2028", "a\\u202eok.b\\u2028"),
        (os.fsdecode(b"\xff\xfe.ko"), "\\xff\\xfe.ko"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_has_no_glyph_is_escaped_and_the_rest_is_not(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable_error(text, "do\nthis") == f"{shown}\n  do\n  this"


def test_the_texts_of_results_escape_names() -> None:
    verdict = Verdict(EVIL, "6.12", "a", accepted=False, errno="EPERM", stage="s", reason=f"{EVIL} is bad")
    assert verdict_text(verdict).startswith(f"{SHOWN}: refused")
    assert f"because       {SHOWN} is bad" in verdict_text(verdict)
    assert as_matrix([[verdict]]).splitlines()[1].startswith(SHOWN)
    assert as_line(EVIL, SignatureState(kernel="", signed=False, valid=None, trusted=False, reason=None)).startswith(
        f"{SHOWN}: not signed"
    )
    state = SignatureState(
        kernel="", signed=True, valid=True, trusted=True, reason=None, signer=EVIL, hash="sha256", algorithm="rsa"
    )
    assert f"signer:         {SHOWN}\n" in as_modinfo(state)
    assert result_text(Result(file=EVIL, kernel="6.12", name="a")).startswith(f"{SHOWN} (6.12): ")
    assert verdict.to_json()["file"] == EVIL


def test_errors_of_a_command_escape_what_they_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kbuildpy.cli.check._kernels", lambda args, words: [])
    script = tmp_path / "script"
    script.write_bytes(b"\xff\xfe\x1b[1m\n")
    assert cli.main(["check", "--script", str(script)]) == 2
    assert "script: line 1: \\xff\\xfe\\x1b[1m: not a command\n" in capsys.readouterr().err


def test_an_unreadable_module_has_one_line_in_text_and_its_name_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = LoaderKernel("6.12", (6, 12), "x86_64")
    monkeypatch.setattr("kbuildpy.cli.check._kernels", lambda args, words, **_: [kernel])
    monkeypatch.chdir(tmp_path)
    name = "a\n\x1b[32m.ko.xz"
    Path(name).write_bytes(b"\xfd7zXZ\0\0\4")
    assert cli.main(["check", name, "--format", "json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["file"] == name
    assert err.splitlines()[0].startswith("kbuildpy: a\\n\\x1b[32m.ko.xz: the xz contents are cut off")
