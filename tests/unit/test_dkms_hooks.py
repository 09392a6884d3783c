# SPDX-License-Identifier: GPL-2.0-only
"""The hooks of kernel packages and the stand-in for dkms: what they call, and that they never fail their package."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.cli import main
from kbuildpy.dkms.hooks import STAND_IN_PACKAGE, hook_files, install_hooks, make_package, remove_hooks
from kbuildpy.errors import KbuildError
from kbuildpy.execute import Completed
from kbuildpy.run import run

HOOKS = ("postinst.d", "header_postinst.d", "prerm.d")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root directory with all files; what they call writes its words to `called`, and ends with the status in
    `status`."""
    install_hooks(tmp_path, stand_in=True, force=False)
    call = tmp_path / "usr/lib/kbuildpy/dkms"
    call.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/called\necho $# > {tmp_path}/count\nexit "$(cat {tmp_path}/status)"\n'
    )
    (tmp_path / "status").write_text("0")
    for path in hook_files(stand_in=True):
        text = (tmp_path / path).read_text()
        # (there is no chroot in a unit test)
        text = text.replace("/usr/lib/kbuildpy/dkms", str(call)).replace("/lib/modules", f"{tmp_path}/lib/modules")
        (tmp_path / path).write_text(text.replace("/etc/dkms", f"{tmp_path}/etc/dkms"))
    (tmp_path / "lib/modules/6.1.0-9/build/include").mkdir(parents=True)
    return tmp_path


def called(root: Path, script: str, *words: str) -> tuple[Completed, str]:
    """What a script does, and the words that it calls kbuildpy with."""
    (root / "called").unlink(missing_ok=True)
    done = run([root / script, *words], check=False)
    return done, (root / "called").read_text() if (root / "called").exists() else ""


@pytest.mark.parametrize("status", ["0", "11"])
def test_hooks_call_kbuildpy_and_never_fail(status: str, root: Path) -> None:
    (root / "status").write_text(status)
    for name in HOOKS:
        done, words = called(root, f"etc/kernel/{name}/kbuildpy-dkms", "6.1.0-9", "/boot/vmlinuz-6.1.0-9")
        assert done.returncode == 0
        assert words == f"{'unbuild' if name == 'prerm.d' else 'autoinstall'} -k 6.1.0-9\n"
        assert ("kbuildpy dkms status" in done.error_text) == (status != "0")


def test_hooks_wait_for_the_headers(root: Path) -> None:
    assert called(root, "etc/kernel/postinst.d/kbuildpy-dkms", "6.1.0-10")[1] == ""
    assert called(root, "etc/kernel/postinst.d/kbuildpy-dkms")[1] == ""


def test_the_stand_in_passes_words_and_status_on(root: Path) -> None:
    (root / "status").write_text("77")
    done, words = called(root, "usr/sbin/dkms", "build", "-m", "a b", "-v", "1")
    assert (done.returncode, words) == (77, "build -m a b -v 1\n")
    assert (root / "count").read_text() == "5\n"


def test_packages_are_configured_and_never_left_half_done(root: Path) -> None:
    (root / "status").write_text("11")
    script = "usr/lib/dkms/common.postinst"
    done, words = called(root, script, "p", "1", "/usr/share/p", "amd64", "0")
    assert (done.returncode, words) == (0, "configure -m p -v 1 --archive /usr/share/p/p-1.dkms.tar.gz\n")
    assert called(root, script, "p", "1")[1] == "configure -m p -v 1\n"
    assert "p 1 was not installed for every kernel" in done.error_text
    assert called(root, script, "p")[0].returncode == 1
    (root / "etc/dkms").mkdir()
    (root / "etc/dkms/no-autoinstall").touch()
    assert called(root, script, "p", "1")[1] == ""


def test_the_scripts_are_sh_and_call_what_is_there(tmp_path: Path) -> None:
    paths = install_hooks(tmp_path, stand_in=True, force=False)
    assert {path.name for path in paths} == {"kbuildpy-dkms", "kbuildpy-dkms.service", "dkms", "common.postinst"}
    for path in paths:
        if path.suffix != ".service":
            run(["sh", "-n", path])
            assert os.access(path, os.X_OK)
    done = subprocess.run([tmp_path / "usr/lib/kbuildpy/dkms", "--help"], capture_output=True, text=True, check=True)
    assert "kbuildpy dkms status" in done.stdout
    service = (tmp_path / "etc/systemd/system/kbuildpy-dkms.service").read_text()
    assert "ExecStart=/usr/lib/kbuildpy/dkms autoinstall\n" in service
    assert (tmp_path / "etc/systemd/system/multi-user.target.wants/kbuildpy-dkms.service").exists()


def test_files_of_others_stay_unless_forced_and_undo_takes_ours_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "usr/sbin/dkms"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("#!/bin/bash\n# the other one\n")
    with pytest.raises(KbuildError, match=r"usr/sbin/dkms: exists already"):
        install_hooks(tmp_path, stand_in=True, force=False)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [theirs]
    install_hooks(tmp_path, stand_in=False, force=False)
    assert theirs.read_text().endswith("the other one\n")
    install_hooks(tmp_path, stand_in=False, force=False)
    remove_hooks(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == [theirs]
    install_hooks(tmp_path, stand_in=True, force=True)
    assert "kbuildpy" in theirs.read_text()


def test_links_of_others_stay(tmp_path: Path) -> None:
    install_hooks(tmp_path, stand_in=False, force=False)
    (tmp_path / "of-others").write_text("it calls kbuildpy, too")
    wanted = tmp_path / "etc/systemd/system/multi-user.target.wants/kbuildpy-dkms.service"
    hook = tmp_path / "etc/kernel/prerm.d/kbuildpy-dkms"
    stand_in = tmp_path / "usr/sbin/dkms"
    stand_in.parent.mkdir(parents=True)
    for link, leads_to in ((wanted, "/dev/null"), (hook, f"{tmp_path}/of-others"), (stand_in, "/nonexistent")):
        link.unlink(missing_ok=True)
        link.symlink_to(leads_to)
    with pytest.raises(KbuildError, match=r"prerm\.d/kbuildpy-dkms: exists already"):
        install_hooks(tmp_path, stand_in=False, force=False)
    hook.unlink()
    with pytest.raises(KbuildError, match="usr/sbin/dkms: exists already"):
        install_hooks(tmp_path, stand_in=True, force=False)
    hook.symlink_to(f"{tmp_path}/of-others")
    remove_hooks(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_symlink()) == sorted([wanted, hook, stand_in])
    assert (tmp_path / "of-others").exists()
    assert not (tmp_path / "usr/lib/kbuildpy/dkms").exists()


@pytest.fixture
def strict_umask() -> Iterator[None]:
    """The umask of a careful administrator."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("strict_umask")
def test_what_is_written_is_for_all_users(tmp_path: Path) -> None:
    assert main(["dkms", "hooks", "--stand-in", "--root", str(tmp_path / "root")]) == 0
    for path in (tmp_path / "root").rglob("*"):
        assert path.stat().st_mode & 0o044 == 0o044, path
    if shutil.which("dpkg-deb"):
        os.umask(0o077)
        assert main(["dkms", "hooks", "--deb", str(tmp_path / "dkms.deb")]) == 0


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no Debian")
def test_a_package_provides_dkms_and_has_no_files(tmp_path: Path) -> None:
    target = tmp_path / "dkms.deb"
    make_package(target, force=False)
    provides, conflicts = run(["dpkg-deb", "-f", target, "Provides", "Conflicts"]).text.splitlines()
    assert (provides, conflicts) == ("Provides: dkms (= 3.0.10)", "Conflicts: dkms")
    assert [line.split()[-1] for line in run(["dpkg-deb", "-c", target]).text.splitlines()] == ["./"]
    before = target.read_bytes()
    with pytest.raises(KbuildError, match="exists"):
        make_package(target, force=False)
    with pytest.raises(KbuildError, match=r"none/x\.deb: No such file or directory"):
        make_package(tmp_path / "none/x.deb", force=False)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_undo_tells_of_the_package_that_still_stands_in_for_dkms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    for state, is_told in (("install ok installed", True), ("deinstall ok config-files", False)):
        status.write_text(f"Package: make\nStatus: {state}\n\nPackage: {STAND_IN_PACKAGE}\nStatus: {state}\n")
        assert main(["dkms", "hooks", "--root", str(tmp_path), "--stand-in"]) == 0
        assert "still tells" not in capsys.readouterr().out
        assert main(["dkms", "hooks", "--root", str(tmp_path), "--undo"]) == 0
        assert ("still tells dpkg that dkms is here: apt-get install dkms" in capsys.readouterr().out) == is_told


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_hooks_run_nothing_that_another_user_can_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = tmp_path / "home/venv/bin"
    programs.mkdir(parents=True)
    monkeypatch.setattr("sys.executable", str(programs / "python3"))
    words = ["dkms", "hooks", "--root", str(tmp_path / "root")]
    os.chown(tmp_path / "home", 65534, 65534)
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"what is in {programs} as root, and {tmp_path}/home belongs to" in said and "/opt/kbuildpy" in said
    assert not (tmp_path / "root").exists()
    assert main([*words, "--force"]) == 0
    os.chown(tmp_path / "home", 0, 0)
    assert main(words) == 0
