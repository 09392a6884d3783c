# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy check`: what it makes of its arguments and of verdicts. The loader and its kernels are stand-ins here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kbuildpy import cli
from kbuildpy.cli.parameters import read_params, words_of
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.loader import check
from kbuildpy.loader.facts import Fact, Unchecked
from kbuildpy.loader.kept import judge
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.keys import with_certificates
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.reports import junit, sarif
from kbuildpy.loader.verdict import Verdict
from kbuildpy.signing.keyring import Keyring
from tests.support.documents import json_keys

KERNELS = [LoaderKernel("6.1", (6, 1), "x86_64"), LoaderKernel("6.12", (6, 12), "x86_64")]


def load_module(
    contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, *, file: str, packed: bytes
) -> tuple[Verdict, Modules]:
    """Takes what is not called bad; the rest crashes 6.1, and is refused by 6.12."""
    verdict = Verdict(file, kernel.release, Path(file).stem, accepted=True, lines=(f"it warns: {args}",))
    if verdict.name == "warned":
        verdict = replace(verdict, warnings=("unknown parameter",))
    if verdict.name == "bad":
        verdict = replace(verdict, accepted=False, stage="apply_relocations", reason="it is bad", hint="mend it")
        if kernel.version == (6, 12):
            verdict = replace(verdict, errno="ENOEXEC", log="bad: \x1bno", unchecked=(Unchecked("its BTF"),))
    return verdict, modules


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where good.ko, bad.ko and a file that is cut off are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judge, "load_module", load_module)
    monkeypatch.setattr(check, "open_store", lambda: None)
    monkeypatch.setattr("kbuildpy.cli.check._kernels", lambda args, words, **_: KERNELS[: len(words)])
    for name in ("good.ko", "bad.ko", "o-ther.ko", "warned.ko"):
        Path(name).write_bytes(b"a module")
    Path("cut.ko.xz").write_bytes(b"\xfd7zXZ\0\0\4")
    yield tmp_path


TWO = ["-k", "6.1", "-k", "6.12"]
CUT = "cut.ko.xz: the xz contents are cut off before their end"
AGAIN = "the file is damaged: build, compress or copy it again"


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(["check", *words])
    return (status, *capsys.readouterr())


def objects(text: str) -> list[Mapping[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# --- Parameters.


def test_parameters_that_are_given_twice_are_joined(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--params", "debug=3", "-p", "o_ther: on=1", "--params", "level=2", "--format", "json"]
    _, out, _ = checked(capsys, "good.ko", "o-ther.ko", "-k", "6.1", *words)
    assert [item["lines"] for item in objects(out)] == [
        ["it warns: debug=3 level=2"],
        ["it warns: debug=3 on=1 level=2"],
    ]


def test_parameters_of_a_module_that_is_not_given_are_a_wrong_call() -> None:
    with pytest.raises(UsageError, match=r"no module c_d was named, only a, b"):
        read_params(["c-d: x=1"], ["a", "b"])
    assert words_of("a", read_params(['x="a: b"'], ["a"])) == 'x="a: b"'


# --- Files that cannot be read, in each format.


def test_json_has_an_object_for_an_unreadable_file_and_each_kernel(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = checked(capsys, "good.ko", "cut.ko.xz", *TWO, "--format", "json")
    found = [(item["file"], item["kernel"], item["accepted"], item["errno"], item["reason"]) for item in objects(out)]
    assert status == 1
    assert found[2:] == [("cut.ko.xz", release, False, None, CUT) for release in ("6.1", "6.12")]
    assert len({frozenset(item) for item in objects(out)}) == 1
    assert err == f"kbuildpy: {CUT}\n  {AGAIN}\n"


def test_the_documents_explain_each_key() -> None:
    assert Verdict("a.ko", "6.1", "a", accepted=True).to_json().keys() == json_keys("kbuildpy check")


def test_the_matrix_has_a_line_for_each_file(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = checked(capsys, "cut.ko.xz", "good.ko", "bad.ko", *TWO)
    assert status == 1
    assert [line.split() for line in out.splitlines()[:4]] == [
        ["6.1", "6.12"],
        ["cut.ko.xz", "unreadable", "unreadable"],
        ["good.ko", "ok", "ok"],
        ["bad.ko", "undefined", "ENOEXEC"],
    ]
    assert "good.ko: accepted" not in out
    assert "bad.ko: refused with ENOEXEC" in out
    assert err == f"kbuildpy: {CUT}\n  {AGAIN}\n2 of 6 accepted\n"


def test_the_matrix_has_all_that_there_is_to_say_below_it_with_v(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = checked(capsys, "good.ko", *TWO, "-v", "-p", "x=1")
    for release in ("6.1", "6.12"):
        assert f"good.ko: accepted by {release}\n  warns         it warns: x=1\n" in out
    assert checked(capsys, "good.ko", *TWO, "-v", "-q")[:2] == (0, "")


def test_junit_tells_failures_from_errors(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = checked(capsys, "good.ko", "bad.ko", "cut.ko.xz", *TWO, "--format", "junit")
    root = ElementTree.fromstring(out)
    assert root.tag == "testsuites"
    assert [suite.attrib for suite in root] == [
        {"name": release, "tests": "3", "failures": "1", "errors": "1"} for release in ("6.1", "6.12")
    ]
    for suite in root:
        assert [(case.get("name"), [item.tag for item in case if item.tag != "system-out"]) for case in suite] == [
            ("good.ko", []),
            ("bad.ko", ["failure"]),
            ("cut.ko.xz", ["error"]),
        ]
    failures = [(item.get("type"), item.get("message"), item.text) for item in root.iter("failure")]
    assert failures == [("undefined", "it is bad", "mend it"), ("ENOEXEC", "it is bad", "bad: ?no\nmend it")]
    assert {item.get("message") for item in root.iter("error")} == {CUT}
    assert [item.text for item in root.iter("system-out")] == ["not checked: its BTF"]


def test_sarif_has_what_its_schema_requires(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = checked(capsys, "good.ko", "bad.ko", "cut.ko.xz", *TWO, "--format", "sarif")
    log = json.loads(out)
    assert (log["version"], log.keys() >= {"version", "runs"}) == ("2.1.0", True)
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    rules = [rule["id"] for rule in driver["rules"]]
    assert driver["name"]
    assert len(set(rules)) == len(rules)
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    for result in run["results"]:
        assert result["ruleId"] in rules
        assert result["message"]["text"]
        assert all(place["physicalLocation"]["artifactLocation"]["uri"] for place in result["locations"])
    found = [(item["level"], item["ruleId"], item["properties"]["kernel"]) for item in run["results"]]
    assert found == [
        ("error", "apply_relocations", "6.1"),
        ("error", "apply_relocations", "6.12"),
        ("error", "unreadable", "6.1"),
        ("error", "unreadable", "6.12"),
        ("note", "unchecked", "6.12"),
    ]
    assert CUT in run["results"][2]["message"]["text"]


def test_a_name_that_is_no_uri_is_quoted_in_sarif() -> None:
    verdict = Verdict("a b\udcff%.ko", "6.1", "a", accepted=False, errno="EPERM", stage="s", reason="no")
    for file, uri in ((verdict.file, "a%20b%FF%25.ko"), ("/a b.ko", "file:///a%20b.ko")):
        (result,) = json.loads(sarif.as_sarif([replace(verdict, file=file)]))["runs"][0]["results"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
    ElementTree.fromstring(junit.as_junit([verdict]))


# --- Warnings of an accepted module.


def test_each_format_tells_what_the_kernel_warns_of_and_accepts(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = checked(capsys, "warned.ko", "good.ko", *TWO[:2], "--format", "sarif")
    (result,) = json.loads(out)["runs"][0]["results"]
    assert (result["level"], result["ruleId"]) == ("warning", "warning")
    assert result["message"]["text"] == "6.1 accepts it and warns: unknown parameter"
    _, out, _ = checked(capsys, "warned.ko", "good.ko", *TWO[:2], "--format", "junit")
    assert [item.text for item in ElementTree.fromstring(out).iter("system-out")] == ["warns: unknown parameter"]
    _, out, _ = checked(capsys, "warned.ko", "good.ko", *TWO)
    assert [line.split(maxsplit=1)[1] for line in out.splitlines()[1:3]] == ["ok (warns)  ok (warns)", "ok          ok"]
    _, out, _ = checked(capsys, "warned.ko", "good.ko", *TWO[:2])
    assert out == ("warned.ko: accepted by 6.1\n  warns         unknown parameter\ngood.ko: accepted by 6.1\n")


# --- Keys.


def test_a_keyring_without_the_kernels_own_keys_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged() -> Keyring:
        raise KbuildError("vmlinuz: cut off")

    monkeypatch.setattr("kbuildpy.loader.kernels.enroll.load_certificates", lambda file: [])
    kernel = KERNELS[0]
    assert with_certificates(kernel, []) is kernel
    complete = with_certificates(replace(kernel, keyring=lambda: Keyring("6.1")), [tmp_path])
    assert (complete.keyring_complete, complete.missing) == (True, {})
    assert not with_certificates(kernel, [tmp_path]).keyring_complete
    broken = with_certificates(replace(kernel, keyring=damaged), [tmp_path])
    assert broken.keyring
    assert broken.keyring() == Keyring.of("6.1")
    assert (broken.keyring_complete, broken.missing) == (False, {Fact.CERTIFICATES: "vmlinuz: cut off"})


def test_installed_modules_are_those_that_modprobe_takes(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    modules = tmp_path / "lib/modules" / "6.1.0-test"
    for path in ("kernel/a/drv.ko", "updates/drv.ko", "kernel/b/lonely.ko", "build/no.ko"):
        (modules / path).parent.mkdir(parents=True, exist_ok=True)
        (modules / path).write_bytes(b"a module")
    (modules / "modules.dep").write_text("updates/drv.ko:\n")
    _, out, said = checked(capsys, "--installed", str(modules), "-k", "x", "--format", "json")
    files = [Path(str(item["file"])).relative_to(modules) for item in objects(out)]
    assert sorted(map(str, files)) == ["kernel/b/lonely.ko", "updates/drv.ko"]
    assert "drv: modprobe takes updates/drv.ko, and not kernel/a/drv.ko" in said
    assert "kernel/b/lonely.ko: modprobe does not find it before this runs: depmod 6.1.0-test" in said
    monkeypatch.chdir(modules)
    assert checked(capsys, "--installed", ".", "-k", "x", "--format", "json")[1].count("\n") == 2
    status, _, said = checked(capsys, "--installed", "none")
    assert status == 2
    assert "--installed none: /lib/modules/none is no directory" in said


def test_a_module_for_a_kernel_that_is_not_there_does_not_end_the_check_of_the_others(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kbuildpy.cli.check._open", lambda args, chosen: KERNELS[:1])
    monkeypatch.setattr("kbuildpy.cli.check.resolve_release", lambda release, need: resolve_release(release, need))

    def resolve_release(release: str, need: object) -> None:
        if release != "6.1":
            raise UsageError(f"no kernel {release} is installed", hint="install it")

    (directory / "good.ko").write_bytes(b"\0vermagic=6.1 SMP \0")
    (directory / "warned.ko").write_bytes(b"\0vermagic=5.10 SMP \0")
    monkeypatch.setattr(check, "stated_release", lambda contents: "5.10" if b"5.10" in contents else "6.1")
    status, out, _ = checked(capsys, "warned.ko", "good.ko", "-k", "own", "--format", "json")
    assert status == 1
    found = {item["file"]: item for item in objects(out)}
    assert found["good.ko"]["accepted"] is True
    assert found["warned.ko"]["accepted"] is False
    assert found["warned.ko"]["reason"] == "warned.ko: no kernel 5.10 is installed"
