# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy report`: what is planted everywhere, secrets, names and paths, is in no byte of the archive."""

from __future__ import annotations

import json
import lzma
import os
import pty
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from kbuildpy.kernel.config import read_auto_conf
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.report.last_failure import last_failures, note_failure
from kbuildpy.report.private import Private, private_facts
from kbuildpy.report.redact import Redactor
from kbuildpy.report.tree_facts import configuration
from tests.support.command_line import call
from tests.support.fake_trees import fake_tree

USER, FULL_NAME, HOST = "annsmith", "Ann Q. Smith", "forge17.corp.example"
HOME = f"/home/{USER}"
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0BAQEF\nAASCBKgw\n-----END PRIVATE KEY-----"

SECRETS = {
    "KBUILD_SIGN_PIN": "pin-of-the-token",
    "GITHUB_TOKEN": "ghp_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "CI_JOB_TOKEN": "a token / with blanks",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "DB_PASSWORD": 'quo"te$and`more',
}
"""Variables of the environment whose values are secret."""

LINES = (
    "cc -I/srv/acme/include -isystem/opt/acme/sys -o /srv/acme/out/x.o ~/acme/y.c ../../acme-siblings/z.c",
    "curl https://ann:hunter-two@git.acme.example/repo?token=query-secret http://10.11.12.13:8080/acme-path",
    "key pkcs11:token=acme-hsm;object=acme-key?pin-value=314159 in acme-signing.pem --key acme-words.key",
    "password=plain-secret PASSWORD: 'quoted secret words' --token option-secret --api-key=equals-secret",
    '{"password": "json-secret", "auth_token": "json-auth", "nested": "Bearer bearer-secret"}',
    "Authorization: Basic YWNtZTpzZWNyZXQ= eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY21lIn0.c2lnbmF0dXJl",
    "from ann.smith@acme.example by 192.168.77.5 at 52:54:00:ac:3e:01 glpat-acmeacmeacmeacmeacme",
    PRIVATE_KEY,
    f"{HOME}/acme/sources/drv.c:12: error: {USER}@{HOST}:{HOME} and /home/somebody/acme and /var/tmp/acme.log",
    f"{USER.upper()} {FULL_NAME} {HOST.partition('.')[0]}",
    *(f"it said {value} there" for value in SECRETS.values()),
)
"""What a command may print."""

PLANTED = (
    *SECRETS.values(),
    *("acme", "hunter-two", "query-secret", "plain-secret", "quoted secret", "secret words", "option-secret"),
    *(
        "equals-secret",
        "json-secret",
        "json-auth",
        "bearer-secret",
        "YWNtZT",
        "eyJhbGci",
        "314159",
        "MIIEvg",
        "AASCBKgw",
    ),
    *("10.11.12.13", "192.168.77.5", "52:54:00", "somebody", "smith", "forge17", "corp.example"),
)
"""What must be nowhere, in small letters or large ones."""


def contents_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


def found_in(archive: Path) -> list[str]:
    """What of PLANTED is in the archive: as it lies there, and unpacked, with the names and fields of its entries."""
    raw = archive.read_bytes()
    everything = b"\n".join([raw, lzma.decompress(raw), *contents_of(archive).values()]).lower()
    return [word for word in PLANTED if word.lower().encode() in everything]


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with private names on its way, in an environment of secrets; the host has the planted name."""
    home = tmp_path / "home" / USER
    folder = home / "acme" / "work"
    folder.mkdir(parents=True)
    for name, value in {**SECRETS, "HOME": str(home), "USER": USER, "DEBFULLNAME": FULL_NAME, "HOSTNAME": HOST}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KCFLAGS", "-I/srv/acme/include")
    monkeypatch.setenv("PATH", f"{home}/acme/bin:{os.environ['PATH']}")
    return folder


@pytest.fixture
def quick(planted: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`planted`, where no program is asked for its version."""
    monkeypatch.setattr("kbuildpy.report.gather.versions", lambda **_: "no versions\n")
    return planted


def test_nothing_that_was_planted_is_in_a_byte_of_the_archive(planted: Path) -> None:
    text = "\n".join([*LINES, str(planted / "drv.c"), *(f"{name}={value}" for name, value in os.environ.items())])
    (planted / "SConstruct").write_text(f"print({text!r})\nraise SystemExit(3)\n")
    (planted / "notes.txt").write_text(text)
    words = ("-o", "report.tar.xz", "--include", "notes.txt", "--yes", "--", "scons", "KDIR=/srv/acme/tree")
    done = call("report", *words, cwd=planted)
    assert done.returncode == 0, done.error_text
    files = contents_of(planted / "report.tar.xz")
    output = files["kbuildpy-report/output.log"].decode()
    assert "Reading SConscript files" in output and "error:" in output
    assert "<directory>/drv.c" in output
    assert b"exit status: 3" in files["kbuildpy-report/command.txt"]
    assert found_in(planted / "report.tar.xz") == []
    with tarfile.open(planted / "report.tar.xz") as tar:
        entries = tar.getmembers()
    assert {(entry.uname, entry.gname, entry.uid, entry.gid, entry.mtime) for entry in entries} == {("", "", 0, 0, 0)}
    assert stat.S_IMODE((planted / "report.tar.xz").stat().st_mode) == 0o600


def test_what_helps_stays() -> None:
    private = Private(homes=(HOME,), users=(USER,), hosts=(HOST,), folders=((f"{HOME}/sources/drv", "module"),))
    for line in (
        "gcc (Debian 12.2.0-14+deb12u1) 12.2.0",
        "/usr/src/linux-headers-6.1.0-57-common/include/linux/kernel.h:12:3: error: token 'x' is not valid",
        "drv/core.c:10: -I./arch/x86/include -Iinclude -DKBUILD_MODNAME='\"drv\"' scripts/mod/modpost -m",
        "see https://docs.kernel.org/kbuild/modules.html",
        "module drv: .gnu.linkonce.this_module section size must match",
        "[   12.345678] drv: loading out-of-tree module taints kernel.",
    ):
        assert Redactor(private).redact(line) == line
    assert Redactor(private).redact(f"{HOME}/sources/drv/a.c: bad") == "<module>/a.c: bad"
    assert Redactor(private).redact(f"{HOME}/sources/drv2/a.c") == "<home>/<path-1>.c"
    redactor = Redactor(private)
    assert redactor.redact("/srv/a.h /srv/b.h -I/srv/a.h") == "<path-1>.h <path-2>.h -I<path-1>.h"
    assert redactor.counts == {"path": 3}


def test_a_short_pin_is_taken_out_as_a_word_and_not_out_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBUILD_SIGN_PIN", "1234")
    redactor = Redactor(private_facts())
    assert redactor.redact("pin 1234, size 812345") == "pin <secret>, size 812345"


def test_texts_of_a_configuration_are_not_told(tmp_path: Path) -> None:
    tree = open_tree(fake_tree(tmp_path / "tree"))
    conf = tree.objects / "include/config/auto.conf"
    conf.write_text(
        f'{conf.read_text()}CONFIG_MODULE_SIG_KEY="pkcs11:token=acme;pin-value=1"\nCONFIG_CMDLINE="root=/dev/acme"\n'
        'CONFIG_HZ=250\nCONFIG_PHYSICAL_START=0x1000000\nCONFIG_CC_VERSION_TEXT="gcc 12.2.0"\n'
    )
    assert "CONFIG_CMDLINE" in read_auto_conf(conf)
    told = configuration(open_tree(tree.objects))
    assert "acme" not in told
    assert {"CONFIG_CMDLINE=<text>", "CONFIG_HZ=250", "CONFIG_PHYSICAL_START=0x1000000"} <= {*told.splitlines()}
    assert "CONFIG_CC_VERSION_TEXT=gcc 12.2.0" in told


def test_a_failure_is_noted_for_its_user_only_without_what_is_private(quick: Path) -> None:
    failing = call("check", quick / "acme.ko", "--cert", quick / "acme-cert.pem", cwd=quick)
    assert failing.returncode != 0
    words = ["sign", "x.ko", "--key", f"{quick}/acme.pem", "KBUILD_SIGN_PIN=plain-secret"]
    note_failure(words, 1, message="\n".join(LINES), hint=str(quick))
    folder = Path(os.environ["KBUILDPY_CACHE"]) / "failures"
    notes = list(folder.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *notes)} == {0o700, 0o600}
    everything = b"".join(path.read_bytes() for path in notes).lower()
    assert [word for word in PLANTED if word.lower().encode() in everything] == []
    assert last_failures()[0].command.startswith("kbuildpy sign x.ko --key")
    done = call("report", "--last", "-o", "last.tar.xz", "--yes", "-q", cwd=quick)
    assert (done.returncode, done.text) == (0, "last.tar.xz\n")
    assert found_in(quick / "last.tar.xz") == []
    told = json.loads(contents_of(quick / "last.tar.xz")["kbuildpy-report/failures.json"])
    assert [each["status"] for each in told] == [1, failing.returncode][: len(told)]


def test_only_a_command_that_fails_leaves_a_note_and_only_the_last_five_stay(planted: Path) -> None:
    assert call("doctor", "completion", cwd=planted).returncode == 0
    assert call("new", "--list", cwd=planted).returncode == 0
    assert call("new", "nonsense", "x", cwd=planted).returncode == 2
    assert last_failures() == []
    assert call("report", "--last", "--yes", cwd=planted).returncode == 1
    for number in range(8):
        note_failure(["check", f"{number}.ko"], 1)
    assert [each.command for each in last_failures()] == [f"kbuildpy check {number}.ko" for number in (7, 6, 5, 4, 3)]
    (planted / "bad.ko").write_bytes(b"bad")
    assert call("info", "bad.ko", cwd=planted, KBUILDPY_FAILURES="0").returncode == 1
    assert len(last_failures()) == 5 and last_failures()[0].command.endswith("7.ko")
    assert call("info", "bad.ko", cwd=planted).returncode == 1
    assert last_failures()[0].command == "kbuildpy info bad.ko"


def test_a_defect_is_noted_with_its_traceback(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("kbuildpy.cli.abi.run", broken)
    with pytest.raises(ZeroDivisionError):
        call("abi", "6.1", "6.12", cwd=planted)
    [failure] = last_failures()
    assert "ZeroDivisionError: a defect" in failure.message and "in broken" in failure.message


def test_shows_what_is_in_it_and_writes_nothing_unless_it_is_told_to(quick: Path) -> None:
    note_failure(["check", "a.ko"], 1, message="it was refused")
    asked = call("report", "--last", "-o", "r.tar.xz", cwd=quick)
    assert asked.returncode == 2 and "--yes" in asked.error_text
    assert "failures.json" in asked.text and "Replaced: " in asked.text
    shown = call("report", "--last", "-n", "-o", "r.tar.xz", cwd=quick)
    assert shown.returncode == 0 and "it was refused" in shown.text
    assert not (quick / "r.tar.xz").exists()
    assert call("report", "--last", "-o", "r.tar.xz", "--yes", cwd=quick).returncode == 0
    before = (quick / "r.tar.xz").read_bytes()
    again = call("report", "--last", "-o", "r.tar.xz", "--yes", cwd=quick)
    assert again.returncode == 1 and "--force" in again.error_text
    assert (quick / "r.tar.xz").read_bytes() == before
    note_failure(["build", "DIR"], 1)
    without_output = call("report", "--last", "-o", "o.tar.xz", "--yes", cwd=quick)
    assert without_output.error_text.endswith("to record it: kbuildpy report -- build DIR\n")
    assert call("report", "--last", "-o", "r.tar.xz", "--yes", "--force", cwd=quick).returncode == 0


def test_on_a_terminal_it_asks_and_takes_no_for_an_answer(planted: Path) -> None:
    note_failure(["check", "a.ko"], 1)
    for answer, written in (("n", False), ("y", True)):
        argv = [sys.executable, "-m", "kbuildpy", "report", "--last", "-o", f"{answer}.tar.xz"]
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        terminal, side = pty.openpty()
        os.write(terminal, f"{answer}\n".encode())
        done = subprocess.run(argv, stdin=side, capture_output=True, text=True, cwd=planted, env=environ, check=False)
        os.close(terminal)
        os.close(side)
        assert f"Write {answer}.tar.xz?" in done.stdout
        assert (planted / f"{answer}.tar.xz").exists() is written


def test_a_file_that_names_this_machine_is_refused_unless_it_is_a_text_or_meant(quick: Path) -> None:
    (quick / "acme.ko").write_bytes(b"\x7fELF\0" + str(quick).encode())
    (quick / "plain.ko").write_bytes(b"\x7fELF\0\1\2")
    (quick / "key.txt").write_text(PRIVATE_KEY)
    note_failure(["check", "a.ko"], 1)

    def included(*words: str) -> int:
        return call("report", "--last", "-o", "r.tar.xz", "--yes", "--force", *words, cwd=quick).returncode

    assert included("--include", "acme.ko") == 2
    assert included("--include", "key.txt", "--as-is") == 2
    assert included("--include", "plain.ko") == 0
    assert contents_of(quick / "r.tar.xz")["kbuildpy-report/included/plain.ko"] == b"\x7fELF\0\1\2"
    assert included("--include", "acme.ko", "--as-is") == 0
    assert str(quick).encode() in contents_of(quick / "r.tar.xz")["kbuildpy-report/included/acme.ko"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--",), "no command behind --"),
        (("--", "ls"), "no command of kbuildpy"),
        (("--", "report"), "a report of a report"),
        (("--last", "--", "check", "x.ko"), "--last runs no command"),
        (("--as-is",), "--as-is belongs to --include"),
        (("--last", "-o", "nowhere/r.tar.xz"), "no such directory"),
    ],
)
def test_a_wrong_call_runs_nothing(planted: Path, words: tuple[str, ...], said: str) -> None:
    done = call("report", *words, cwd=planted)
    assert done.returncode == 2
    assert said in done.error_text
