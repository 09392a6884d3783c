# SPDX-License-Identifier: GPL-2.0-only
"""A dkms.conf is a program of somebody else's: what it can do, and what is said of one that is wrong."""

from __future__ import annotations

import os
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kbuildpy.dkms.conf import DkmsConf
from kbuildpy.dkms.destination import destination, distribution
from kbuildpy.dkms.directives import unknown_directives
from kbuildpy.dkms.read_conf import ConfKernel, read_conf
from kbuildpy.dkms.versions import version_key
from kbuildpy.errors import KbuildError
from kbuildpy.run import run

HEAD = 'PACKAGE_NAME="p"\nPACKAGE_VERSION="1"\nDEST_MODULE_LOCATION[0]="/updates"\n'
KERNEL = ConfKernel("6.1.0-9-amd64", "x86_64", Path("/nonexistent/build"), "debian")


def read(place: Path, text: str, kernel: ConfKernel = KERNEL, **more: str) -> DkmsConf:
    """What a dkms.conf with some more lines says."""
    conf = place / "dkms.conf"
    conf.write_text(HEAD + text)
    etc = place / "etc"
    return read_conf(conf, kernel, name="p", version="1", etc=etc, directives=more)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("PACKAGE_NAME=", "no PACKAGE_NAME"),
        ("PACKAGE_NAME=a/b", "PACKAGE_NAME 'a/b' is no name for a folder"),
        ("PACKAGE_NAME=..", "PACKAGE_NAME '..' is no name for a folder"),
        ("PACKAGE_NAME=-rf", "PACKAGE_NAME '-rf' is no name for a folder"),
        ("PACKAGE_VERSION='1 2'", "PACKAGE_VERSION '1 2' is no name for a folder"),
        ("BUILT_MODULE_NAME=../a", "BUILT_MODULE_NAME[0]=../a is no name of a module"),
        ("DEST_MODULE_NAME=/etc/a", "DEST_MODULE_NAME[0]=/etc/a is no name of a module"),
        ("BUILT_MODULE_LOCATION=../..", "BUILT_MODULE_LOCATION[0]=../.. leads out of the sources"),
        ("BUILT_MODULE_LOCATION=/etc", "BUILT_MODULE_LOCATION[0]=/etc leads out of the sources"),
        ("DEST_MODULE_LOCATION=/etc", "DEST_MODULE_LOCATION[0]=/etc is no place for modules"),
        ("DEST_MODULE_LOCATION=/extra/../../..", "DEST_MODULE_LOCATION[0]=/extra/../../.. is no place for modules"),
        ("PATCH=../x.patch", "PATCH[0]=../x.patch leads out of the folder `patches`"),
        ("BUILT_MODULE_NAME=$'\\e[31m'", "BUILT_MODULE_NAME[0]=\\x1b[31m is no name of a module"),
        ("exit 3", "ended before its end"),
        ("echo why >&2; exit 3", "ended before its end; it says: why"),
        ("BUILD_EXCLUSIVE_KERNEL='6('", "BUILD_EXCLUSIVE_KERNEL is not a regular expression"),
    ],
)
def test_a_file_that_is_wrong_is_one_error_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(KbuildError) as wrong:
        read(tmp_path, text)
    assert wrong.value.message == f"{tmp_path}/dkms.conf: {message}"


def test_a_syntax_error_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(KbuildError) as wrong:
        read(tmp_path, "A=1\nif then\n")
    assert wrong.value.message.startswith(f"{tmp_path}/dkms.conf:5: syntax error near")


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match=r"dkms\.conf: No such file"):
        read_conf(tmp_path / "dkms.conf", KERNEL)


# --- What a file can do


def test_a_file_sees_no_variable_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("KBUILD_SIGN_PIN", "x")
    monkeypatch.setenv("BASH_ENV", str(tmp_path / "dkms.conf"))
    found = read(tmp_path, 'MAKE[0]="$SECRET$KBUILD_SIGN_PIN-$kernelver-$arch-$module-$module_version"')
    assert found.make == "-6.1.0-9-amd64-x86_64-p-1"


HAS_NAMESPACES = any(
    shutil.which("unshare") and run(["unshare", *words, "true"], check=False).returncode == 0
    for words in (["-mn"], ["-rmn"])
)
needs_namespaces = pytest.mark.skipif(not HAS_NAMESPACES, reason="no namespaces are to be had here")


@needs_namespaces
def test_a_file_writes_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, f'echo a > {tmp_path}/written && MAKE[0]="it is written"; rm -f {tmp_path}/dkms.conf')
    assert found.make == ""
    assert "Read-only file system" in found.said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dkms.conf"]


@needs_namespaces
def test_a_file_of_root_cannot_undo_that(tmp_path: Path) -> None:
    point = run(["findmnt", "-n", "-o", "TARGET", "-T", tmp_path]).text.strip()
    tries = f"mount -o remount,bind,rw {point} {point} || mount --bind {tmp_path} {tmp_path}"
    found = read(tmp_path, f'{tries}; echo a > {tmp_path}/written && MAKE[0]="it is written"')
    assert found.make == ""
    assert not (tmp_path / "written").exists()
    capabilities = read(tmp_path, "MAKE[0]=$(grep CapEff /proc/self/status)").make
    assert int(capabilities.split()[-1], 16) in (0, 1 << 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads the files of others")
def test_root_reads_the_file_of_another_user(tmp_path: Path) -> None:
    place = tmp_path / "home"
    place.mkdir()
    (place / "more").write_text("MAKE[0]=found")
    (place / "dkms.conf").write_text(f"{HEAD}. {place}/more\n")
    for path in (place / "more", place / "dkms.conf", place):
        path.chmod(0o700)
        os.chown(path, 65534, 65534)
    assert read_conf(place / "dkms.conf", KERNEL).make == "found"


@needs_namespaces
def test_a_file_reaches_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = read(tmp_path, f'echo a > /dev/tcp/127.0.0.1/{port} && MAKE[0]="it is sent"')
    assert found.make == ""


@needs_namespaces
def test_a_file_may_have_long_here_documents(tmp_path: Path) -> None:
    text = "x" * 200_000
    found = read(tmp_path, f"MAKE[0]=$(cat <<E | wc -c\n{text}\nE\n)")
    assert found.make == "200001"


def test_a_file_without_end_is_ended_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbuildpy.dkms.evaluate._SECONDS", 1)
    sleeps = f"sleep 4321.{os.getpid()}"
    begin = time.monotonic()
    with pytest.raises(KbuildError, match="no end within 1 s"):
        read(tmp_path, f"{sleeps} & while :; do sleep 1; done")
    assert time.monotonic() - begin < 5
    # (a process that was killed is there for a moment)
    while time.monotonic() - begin < 10 and any(sleeps in words for words in _commands()):
        time.sleep(0.1)
    assert [words for words in _commands() if sleeps in words] == []


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_text().replace("\0", " "))
    return found


def test_a_file_that_prints_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbuildpy.dkms.evaluate._LARGEST", 100_000)
    with pytest.raises(KbuildError, match="more than 100000 bytes of output"):
        read(tmp_path, "yes >&2")


def test_a_file_reads_no_input(tmp_path: Path) -> None:
    assert read(tmp_path, 'read -r line; MAKE[0]="got <$line>"').make == "got <>"


# --- Overrides, directives, what DKMS does not know


def test_overrides_come_in_the_order_of_how_exactly_they_are_meant(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "p.conf").write_text("PRE_BUILD=a\nPOST_BUILD=a\nPOST_ADD=a\nPOST_INSTALL=a\nPOST_REMOVE=a")
    (etc / "p-1.conf").write_text("PRE_BUILD=b\nPOST_BUILD=b\nPOST_ADD=b\nPOST_INSTALL=b")
    (etc / "p-1-6.1.0-9-amd64.conf").write_text("PRE_BUILD=c\nPOST_BUILD=c\nPOST_ADD=c$PRE_BUILD")
    (etc / "p-1-6.1.0-9-amd64-x86_64.conf").write_text("PRE_BUILD=d\nPOST_BUILD=d")
    (etc / "p-2.conf").write_text("PRE_BUILD=e")
    found = read(tmp_path, "", POST_BUILD="command line")
    scripts = (found.pre_build, found.post_build, found.post_add, found.post_install, found.post_remove)
    assert scripts == ("d", "command line", "cc", "b", "a")


@pytest.mark.parametrize(
    ("line", "excluded"),
    [
        ("BUILD_EXCLUSIVE_KERNEL_MIN=6.1", ""),
        ("BUILD_EXCLUSIVE_KERNEL_MIN=6.2", "BUILD_EXCLUSIVE_KERNEL_MIN=6.2: 6.1.0-9-amd64 is older"),
        ("BUILD_EXCLUSIVE_KERNEL_MIN=6.12", "BUILD_EXCLUSIVE_KERNEL_MIN=6.12: 6.1.0-9-amd64 is older"),
        ("BUILD_EXCLUSIVE_KERNEL_MAX=6.12", ""),
        ("BUILD_EXCLUSIVE_KERNEL_MAX=10", ""),
        ("BUILD_EXCLUSIVE_KERNEL_MAX=5.99", "BUILD_EXCLUSIVE_KERNEL_MAX=5.99: 6.1.0-9-amd64 is newer"),
        ("BUILD_EXCLUSIVE_KERNEL=^5", "BUILD_EXCLUSIVE_KERNEL=^5 does not match 6.1.0-9-amd64"),
        ("BUILD_EXCLUSIVE_ARCH=arm", "BUILD_EXCLUSIVE_ARCH=arm does not match x86_64"),
        ("BUILD_EXCLUSIVE_CONFIG=CONFIG_A", ""),
        ("build_exclude=yes", "the file sets build_exclude"),
    ],
)
def test_a_kernel_that_is_left_out_is_so_for_a_reason(line: str, excluded: str, tmp_path: Path) -> None:
    assert read(tmp_path, line).excluded == excluded


@pytest.mark.parametrize("name", [".config", "include/config/auto.conf"])
def test_a_configuration_is_read_where_the_tree_has_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("CONFIG_A=m\nCONFIG_B=y\nCONFIG_C=5\n")
    kernel = ConfKernel("6.1.0-9-amd64", "x86_64", tmp_path, "debian")
    said = {
        "CONFIG_A CONFIG_B !CONFIG_D": "",
        "CONFIG_A CONFIG_D": "BUILD_EXCLUSIVE_CONFIG=CONFIG_D: CONFIG_D is off in this kernel",
        "CONFIG_C": "BUILD_EXCLUSIVE_CONFIG=CONFIG_C: CONFIG_C is off in this kernel",
        "!CONFIG_B": "BUILD_EXCLUSIVE_CONFIG=!CONFIG_B: CONFIG_B is on in this kernel",
    }
    for words, reason in said.items():
        assert read(tmp_path, f'BUILD_EXCLUSIVE_CONFIG="{words}"', kernel).excluded == reason


def test_directives_of_nobody_are_told_and_variables_of_the_file_are_not(tmp_path: Path) -> None:
    text = "BDIR=a\nMAKE[0]=make-$BDIR\nBUILD_EXCLUSIV_ARCH=x\nOF_DKMS_9[0]=a\nlower=1\nREMAKE_INITRD=yes\n"
    found = read(tmp_path, text)
    assert found.unknown == ("BUILD_EXCLUSIV_ARCH", "OF_DKMS_9")
    assert found.deprecated == ("REMAKE_INITRD",)
    assert unknown_directives("# A=1\n  B=2\necho ${C}; C=1\n") == ("B",)


def test_distributions_have_their_place_for_modules(tmp_path: Path) -> None:
    def place(text: str) -> str:
        (tmp_path / "os-release").write_text(text)
        return destination("/kernel/a", distribution(tmp_path))

    assert place("ID=debian\n") == "/updates/dkms"
    assert place('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n') == "/updates/dkms"
    assert place("ID=ubuntu\nID_LIKE=debian\n") == "/updates/dkms"
    assert place('ID="rocky"\nID_LIKE="rhel centos fedora"\n') == "/extra"
    assert place('ID="sles"\n') == "/updates"
    assert place("ID=arch\n") == "/updates/dkms"
    assert place("ID=void\n") == "/kernel/a"


def test_versions_are_ordered_by_their_numbers() -> None:
    versions = ["10.0", "1.10", "2.0-10", "1.2", "2.0-9", "1.10.1"]
    assert sorted(versions, key=version_key) == ["1.2", "1.10", "1.10.1", "2.0-9", "2.0-10", "10.0"]
