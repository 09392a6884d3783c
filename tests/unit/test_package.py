# SPDX-License-Identifier: GPL-2.0-only
"""What needs no kernel of packages: names, dates, documents, archives, and a file that is whole or not there."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy import program_packages
from kbuildpy.distribution import DEBIAN
from kbuildpy.errors import CommandError, KbuildError, UsageError
from kbuildpy.info.fields import Field
from kbuildpy.info.report import ModuleInfo, Needs
from kbuildpy.info.symbols import Export, Import
from kbuildpy.kernel.architecture import ARM64, X86_64
from kbuildpy.package.deb_documents import changelog, copyright_file
from kbuildpy.package.deb_scripts import postrm
from kbuildpy.package.dkms_deb import read_sources
from kbuildpy.package.format import BuildPlace, BuiltFiles, PackageFormat, no_check
from kbuildpy.package.machine_names import names_of
from kbuildpy.package.modprobe_config import modprobe_config
from kbuildpy.package.module_package import ModulePackage, PackagedModule, PackageFile
from kbuildpy.package.oci import tag_of
from kbuildpy.package.package_names import maintainer, package_date, package_name, package_version, text_line
from kbuildpy.package.rpm import rpm
from kbuildpy.package.rpm_spec import provides, requires, spec
from kbuildpy.package.sysext import SysextWish, extension_release, sysext
from kbuildpy.package.tar_stream import files_of, tar_of
from kbuildpy.package.write_package import package_scratch, put_in_place, write_package
from kbuildpy.run import run

RELEASE = "6.1.0-56-amd64"


def packaged(
    name: str,
    *,
    fields: Sequence[tuple[str, str]] = (),
    depends: tuple[str, ...] = (),
    before: tuple[str, ...] = (),
    exports: Sequence[Export] = (),
    imports: Sequence[Import] = (),
) -> PackagedModule:
    """A module that is not there, with what it would tell."""
    info = ModuleInfo(
        file=f"{name}.ko",
        fields=tuple(Field(tag, value) for tag, value in (("name", name), *fields)),
        built_for=RELEASE,
        machine="x86_64",
        kernel=None,
        memory=None,
        parameters=(),
        exports=tuple(exports),
        imports=tuple(imports),
        debug_messages=(),
        tracepoints=(),
        matches=(),
        signature=None,
        btf=None,
        needs=Needs(depends, before, (), (), (), ()),
        unknown=(),
    )
    return PackagedModule(Path(f"{name}.ko"), f"updates/{name}.ko", b"ko", b"ko", info, X86_64)


def of(*modules: PackagedModule, summary: str = "A driver") -> ModulePackage:
    return ModulePackage("drv", "2.1", RELEASE, X86_64, modules, 0, summary=summary)


@pytest.mark.parametrize("name", ["", "x", "Upper", "a b", "../x", "a_b", "ab\n", "-a", "a%b"])
def test_refuses_names_that_a_format_cannot_have(name: str) -> None:
    with pytest.raises(UsageError):
        package_name(name, ["one", "two"])


@pytest.mark.parametrize("version", ["v1", "1-2", "1:2", "1 2", "", "1\n", "1%{x}", "1;x"])
def test_refuses_versions_that_a_format_cannot_have(version: str) -> None:
    with pytest.raises(UsageError):
        package_version(version, [])


def test_a_package_of_one_module_is_called_like_it() -> None:
    assert package_name("", ["snd_usb_X"]) == "snd-usb-x"
    assert package_version("", ["1.0", "1.0"]) == "1.0"
    with pytest.raises(UsageError, match=r"the modules have versions 1\.0, 2\.0"):
        package_version("", ["1.0", "2.0"])


def test_the_maintainer_is_the_named_one_then_the_environment_s_then_an_author_with_an_address() -> None:
    authors = ["Nobody", "An Author <author@example.org>"]
    debian = {"DEBFULLNAME": "D", "DEBEMAIL": "d@example.org"}
    assert maintainer("A <a@example.org>", authors, debian) == "A <a@example.org>"
    assert maintainer("", authors, debian) == "D <d@example.org>"
    assert maintainer("", authors, {"DEBEMAIL": "E <e@example.org>"}) == "E <e@example.org>"
    assert maintainer("", authors, {}) == authors[1]
    assert maintainer("", ["Nobody"], {}) == ""
    for wrong in ("A", "A <a>", "A <a@b>\nPre-Depends: x", "A\n <a@example.org>"):
        with pytest.raises(UsageError):
            maintainer(wrong, (), {})


def test_the_date_is_source_date_epoch_else_the_newest() -> None:
    assert package_date({"SOURCE_DATE_EPOCH": "12"}, 99) == 12
    assert package_date({}, 99) == 99
    for wrong in ("", "-1", "1.5", "0x10", "9" * 13, "\u0661"):
        with pytest.raises(UsageError):
            package_date({"SOURCE_DATE_EPOCH": wrong}, 99)


def test_a_text_of_a_module_cannot_add_a_line() -> None:
    assert text_line("a\nPre-Depends: x\x1b[31m") == "a Pre-Depends: x\\x1b[31m"
    assert len(text_line("x" * 10_000)) == 200


def test_the_archive_is_sorted_root_s_and_has_one_date(tmp_path: Path) -> None:
    files = [PackageFile("usr/b", b"2"), PackageFile("usr/a/x", b"1", 0o755), PackageFile("usr/a-b", b"3")]
    for folders in (False, True):
        archive = tmp_path / "a.tar"
        archive.write_bytes(tar_of(files, 1_700_000_000, folders=folders))
        lines = run(["tar", "--utc", "--full-time", "-tvf", archive]).text.splitlines()
        assert {line.split()[1] for line in lines} == {"root/root"}
        assert {" ".join(line.split()[3:5]) for line in lines} == {"2023-11-14 22:13:20"}
        assert [line.split()[5] for line in lines if line[0] == "-"] == ["usr/a/x", "usr/a-b", "usr/b"]
        assert [line.split()[5] for line in lines if line[0] == "d"] == (["usr/", "usr/a/"] if folders else [])
    assert files_of(archive.read_bytes(), "a") == {"usr/a/x": b"1", "usr/a-b": b"3", "usr/b": b"2"}
    assert tar_of(files, 5, folders=True) == tar_of(reversed(files), 5, folders=True)


def test_a_damaged_archive_is_an_error() -> None:
    archive = tar_of([PackageFile("a", b"x" * 2000)], 0, folders=False)
    for contents in (archive[:700], b"nothing", archive[:100] + bytes([archive[100] ^ 0xFF]) + archive[101:]):
        with pytest.raises(KbuildError):
            files_of(contents, "a.tar")


def test_the_changelog_is_one_that_dpkg_parses(tmp_path: Path) -> None:
    text = gzip.decompress(changelog("hello-modules", "1.0", "An entry.", "A <a@example.org>", 1_700_000_000))
    (tmp_path / "changelog").write_bytes(text)
    assert text.endswith(b" -- A <a@example.org>  Tue, 14 Nov 2023 22:13:20 +0000\n")


def test_the_copyright_file_tells_what_modules_state_and_escapes_it() -> None:
    text = copyright_file("drv", ["GPL v2", "Proprietary\nLicense: MIT"], ["A\nLicense: MIT"])
    assert "License: GPL-2 and Proprietary License: MIT\n" in text
    assert "Copyright: A License: MIT\n" in text
    assert "\nLicense: MIT" not in text
    assert "/usr/share/common-licenses/GPL-2" in text


def test_the_removal_looks_for_just_these_modules_in_the_initramfs() -> None:
    script = postrm(of(packaged("a.b+c"), packaged("d")))
    assert "'/(a[.]b[+]c|d)[.]ko([.]|$)'" in script
    assert f"release='{RELEASE}'" in script


def test_an_extension_fits_each_system_of_its_machine_unless_one_is_named() -> None:
    package = of(packaged("drv"))
    assert extension_release(package, SysextWish()) == "ID=_any\nARCHITECTURE=x86-64\n"
    named = SysextWish(os="debian", os_version="13")
    assert extension_release(package, named) == "ID=debian\nVERSION_ID=13\nARCHITECTURE=x86-64\n"
    leveled = SysextWish(os="debian", os_version="13", level="2")
    assert extension_release(package, leveled) == "ID=debian\nSYSEXT_LEVEL=2\nARCHITECTURE=x86-64\n"
    for wrong in (SysextWish(os_version="13"), SysextWish(os="a\nb"), SysextWish(key="k")):
        with pytest.raises(UsageError):
            sysext(wrong)


def test_names_of_machines() -> None:
    assert names_of(ARM64)[:4] == ("arm64", "aarch64", "arm64", "arm64")
    assert names_of(X86_64)[:4] == ("amd64", "x86_64", "x86-64", "amd64")
    assert tag_of("6.12.117+deb12-amd64") == "6.12.117_deb12-amd64"


def test_modprobe_s_lines_load_what_a_module_depends_on_and_take_no_alias_that_is_a_line() -> None:
    fields = [("alias", "pci:v00008086d*"), ("alias", "a b"), ("alias", "x\ninstall drv /bin/false"), ("alias", "#c")]
    fields += [("alias", "x\ny"), ("alias", "x\x1bc")]
    text = modprobe_config(of(packaged("drv", fields=fields, depends=("usb-core", "other"), before=("first",))))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [
        "alias pci:v00008086d* drv",
        "softdep drv pre: first",
        "install drv /sbin/modprobe -a usb_core other && "
        '/sbin/insmod "/usr/lib/modules/$(uname -r)/updates/drv.ko" $CMDLINE_OPTS',
    ]


def test_rpm_s_symbols_are_those_of_other_packages_unless_it_is_for_every_kernel() -> None:
    user = packaged(
        "user",
        imports=[
            Import("printk", 0x1234, is_weak=False),
            Import("own", 7, is_weak=False),
            Import("theirs", 0x8, is_weak=False),
            Import("maybe", 9, is_weak=True),
        ],
    )
    package = of(user, packaged("exporter", exports=[Export("own", gpl_only=False, namespace="", crc=7)]))
    assert provides(package) == ["drv-kmod = 2.1", "kmod(exporter.ko)", "kmod(user.ko)", "ksym(own) = 0x00000007"]
    assert requires(package, ["printk"], weak=False) == [
        "kernel-uname-r = 6.1.0-56_amd64",
        "ksym(theirs) = 0x00000008",
    ]
    assert requires(package, ["printk"], weak=True) == ["kernel(printk) = 0x00001234", "ksym(theirs) = 0x00000008"]


def test_a_spec_file_has_no_macro_of_a_module_s() -> None:
    package = of(packaged("drv"), summary="100% %(touch /tmp/x)")
    text = spec(package, package.files("usr"), release="1.x", license="GPL", provided=(), required=(), weak=False)
    assert "Summary: 100%% %%(touch /tmp/x)\n" in text


def test_a_package_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "out" / "p.deb"
    failures = [
        OSError(errno.ENOSPC, "No space left on device"),
        CommandError("tar failed", stderr="tar: x: Cannot write: No space left on device"),
        KbuildError("no"),
        KeyboardInterrupt(),
    ]
    for failure in failures:

        def build(failure: BaseException = failure) -> list[Path]:
            (scratch / "p.deb").write_bytes(b"half")
            raise failure

        with pytest.raises(BaseException) as raised, package_scratch(target.parent) as scratch:
            put_in_place(build, target)
        assert list(target.parent.iterdir()) == []
        if failure in failures[:2]:
            assert "the disk is full" in str(raised.value)


@pytest.mark.parametrize("found", [{}, {"updates/drv.ko": b"stripped"}, {"updates/drv.ko": b"ko", "updates/x.ko": b""}])
def test_a_package_with_other_bytes_than_were_checked_is_not_written(found: dict[str, bytes], tmp_path: Path) -> None:
    def build(package: ModulePackage, place: BuildPlace) -> BuiltFiles:
        (place.scratch / "p").write_bytes(b"a package")
        return BuiltFiles(place.scratch / "p")

    package = of(packaged("drv"))
    for modules, whole in ((found, False), ({"updates/drv.ko": b"ko"}, True)):
        format = PackageFormat(
            "x",
            lambda _: "p.x",
            no_check,
            build,
            lambda _, __, ___, modules=modules: modules,  # type: ignore[misc]
        )
        try:
            with package_scratch(tmp_path) as scratch:
                write_package(package, format, tmp_path, scratch, {})
        except KbuildError as error:
            assert "not what was checked" in error.message
        assert [path.name for path in tmp_path.iterdir()] == (["p.x"] if whole else [])


def test_what_a_killed_process_left_is_removed_by_the_next_and_not_while_it_works(tmp_path: Path) -> None:
    with package_scratch(tmp_path) as working:
        program = (
            "import os, signal, sys\nfrom pathlib import Path\n"
            "from kbuildpy.package.write_package import package_scratch\n"
            "with package_scratch(Path(sys.argv[1])) as scratch:\n"
            "    (scratch / 'x').write_bytes(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
        assert done.returncode == -9
        assert len(list(tmp_path.iterdir())) == 2
        with package_scratch(tmp_path):
            assert working.is_dir()
            assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_to_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KbuildError) as raised, package_scratch(tmp_path / "file" / "out"):
        pass
    assert "file" in raised.value.message


def test_sources_are_packed_without_what_builds_leave_and_no_link_leads_out(tmp_path: Path) -> None:
    place = tmp_path / "drv"
    for name in (
        "drv.c",
        "Kbuild",
        "include/x.h",
        "build/6.1/drv.ko",
        "drv.o",
        ".git/config",
        "debian/rules",
        "run.sh",
    ):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    (place / "run.sh").chmod(0o755)
    found = read_sources(place, {"dkms.conf": b"made"})
    assert [(file.path, file.mode) for file in found] == [
        ("Kbuild", 0o644),
        ("dkms.conf", 0o644),
        ("drv.c", 0o644),
        ("include/x.h", 0o644),
        ("run.sh", 0o755),
    ]
    (place / "link.c").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="leads out"):
        read_sources(place, {})
    assert os.path.lexists(place / "link.c")


@pytest.mark.parametrize(
    ("format", "missing", "packages"),
    [
        (rpm(lambda name: False), ["rpmbuild", "rpm2cpio", "cpio"], ["rpm", "cpio"]),
        (sysext(SysextWish()), ["mksquashfs", "unsquashfs"], ["squashfs-tools"]),
        (
            sysext(SysextWish(file_system="erofs", key="key.pem", cert="cert.pem")),
            ["mkfs.erofs", "fsck.erofs", "veritysetup", "openssl"],
            ["erofs-utils", "cryptsetup-bin", "openssl"],
        ),
    ],
    ids=["rpm", "squashfs", "erofs"],
)
def test_all_missing_programs_are_named_at_once(
    format: PackageFormat, missing: list[str], packages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_packages, "this_system", lambda: DEBIAN)
    with pytest.raises(KbuildError) as error:
        format.build(of(packaged("a")), BuildPlace(tmp_path, {"PATH": str(tmp_path)}))
    assert error.value.message == f"{' and '.join(missing)}: programs not found"
    assert error.value.hint == f"apt-get install {' '.join(packages)}"
    assert list(tmp_path.iterdir()) == []
