# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy package`: what the tools of other systems find in a package, and what never gets into one."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.command_line import call
from tests.support.documents import json_keys
from tests.support.kernel_trees import usual_tree
from tests.support.keys import write_pair
from tests.support.module_packages import (
    DATE,
    MAINTAINER,
    ROOTS,
    made,
    package,
    require_tools,
    unpacked,
)
from tests.support.samples import built_samples

pytestmark = pytest.mark.parity

PAIR = ("exporter.ko", "exporter_user.ko")


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return usual_tree()


@pytest.fixture(scope="module")
def samples(tree: KernelTree, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sample modules by the names of their files."""
    return {path.name: path for path in built_samples(tree, tmp_path_factory)}


def places(tree: KernelTree, format: str, names: tuple[str, ...]) -> list[str]:
    return [f"{ROOTS[format]}/lib/modules/{tree.release}/updates/{name}" for name in names]


@pytest.mark.parametrize("format", ["deb", "rpm", "sysext", "oci", "tar"])
def test_a_package_has_the_modules_byte_for_byte_as_root_s(
    format: str, tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    require_tools(format)
    files = [samples[name] for name in PAIR]
    named = ("--name", "pair", "--version", "2.0")
    done = package(format, *files, *named, "--format", "json", "-o", "out", tree=tree, cwd=tmp_path)
    file = tmp_path / made(done)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [file.name]
    found = unpacked(format, file, tmp_path / "unpacked")
    for path, source in zip(places(tree, format, PAIR), files, strict=True):
        assert found.files[path] == source.read_bytes()
    assert found.owners <= {"root/root", "0/0"}
    if format == "oci":
        index = found.files[f"opt/lib/modules/{tree.release}/modules.dep"].decode()
        assert "updates/exporter_user.ko: updates/exporter.ko\n" in index
    assert [path for path in found.files if path.endswith(".ko") and path not in places(tree, format, PAIR)] == []
    told = json.loads(done.text)
    assert (told["kernel"], [module["name"] for module in told["modules"]]) == (
        tree.release,
        ["exporter", "exporter_user"],
    )
    assert json_keys("kbuildpy package") == told.keys() | told["modules"][0].keys() | {"built_for"}


@pytest.mark.parametrize(
    "format", [pytest.param(name, marks=[] if name == "deb" else [pytest.mark.sweep]) for name in ROOTS]
)
def test_another_user_elsewhere_at_another_hour_makes_the_same_bytes(
    format: str, tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    require_tools(format)
    named = ("--version", "2.0", "--format", "json")
    first = tmp_path / made(package(format, samples["hello.ko"], *named, tree=tree, cwd=tmp_path, TZ="UTC"))
    place = tmp_path / "elsewhere"
    place.mkdir()
    shutil.copy(samples["hello.ko"], place)  # (with another date)
    words = ["package", format, "hello.ko", "--version", "2.0", "-k", str(tree.objects), "-o", "out", "-q"]
    if format == "deb":
        words += ["--maintainer", MAINTAINER]
    env = {
        **os.environ,
        "SOURCE_DATE_EPOCH": str(DATE),
        "TZ": "Pacific/Kiritimati",
        "HOME": str(place),
        "USER": "somebody",
        "KBUILDPY_CACHE": str(place / "cache"),
        "LC_ALL": "C",
        "DEB_BUILD_OPTIONS": "parallel=7",
    }
    argv: list[str] = ["bash", "-c", 'umask 077; exec "$@"', "sh", sys.executable, "-m", "kbuildpy", *words]
    if os.getuid() == 0:
        # (another user, who may read this one's Python)
        shutil.chown(place, 65534, 65534)
        shutil.chown(place / "hello.ko", 65534, 65534)
        capability = "+dac_read_search"
        argv = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            f"--inh-caps={capability}",
            f"--ambient-caps={capability}",
            *argv,
        ]
    done = run(argv, cwd=place, env=env, check=False)
    assert done.returncode == 0, done.error_text
    [second] = (place / "out").iterdir()
    assert (second.name, second.read_bytes()) == (first.name, first.read_bytes())
    assert second.stat().st_mode & 0o777 == 0o644
    assert os.getuid() != 0 or second.stat().st_uid == 65534


def test_the_date_is_that_of_the_newest_module_without_source_date_epoch(
    tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    module = tmp_path / "hello.ko"
    shutil.copy(samples["hello.ko"], module)
    os.utime(module, (DATE, DATE))
    words = ("--format", "json", "--compression", "gz")
    done = call("package", "tar", module, *words, "-k", tree.objects, cwd=tmp_path)
    listed = run(["tar", "--utc", "--full-time", "-tvf", tmp_path / made(done)]).text
    assert "2023-11-14 22:13:20" in listed


def test_refuses_what_its_kernel_would_not_load_and_writes_nothing(
    tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    hello = samples["hello.ko"].read_bytes()
    other = tree.release.replace("amd64", "amd65")
    damaged = bytearray(hello)
    # (the symbol table's first section header is somewhere behind e_shoff: all of it is turned over)
    offset = int.from_bytes(hello[40:48], "little")
    damaged[offset + 64 : offset + 256] = bytes(byte ^ 0xFF for byte in damaged[offset + 64 : offset + 256])
    bad = {
        "other.ko": (hello.replace(b"vermagic=" + tree.release.encode(), b"vermagic=" + other.encode()), "built for"),
        # (the same release, and another configuration)
        "flags.ko": (hello.replace(b" SMP ", b" XMP ", 1), f"{tree.release} would refuse it"),
        "cut.ko": (hello[: len(hello) // 2], "cut.ko"),
        "damaged.ko": (bytes(damaged), "damaged.ko"),
        "text.ko": (b"this is no module", "text.ko"),
    }
    for name, (contents, said) in bad.items():
        (tmp_path / name).write_bytes(contents)
        words = (samples["params.ko"], tmp_path / name, "--name", "bad", "--version", "1", "-o", tmp_path / "out")
        for format in ("deb", "tar"):
            done = package(format, *words, tree=tree, cwd=tmp_path)
            assert (done.returncode, done.text) == (1, ""), (name, done.error_text)
            assert said in done.error_text
            assert not (tmp_path / "out").exists()


def test_refuses_a_module_whose_symbols_nobody_exports_but_not_with_the_exporter(
    tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    words = ("--version", "1", "-o", "out")
    done = package("tar", samples["exporter_user.ko"], *words, tree=tree, cwd=tmp_path)
    assert done.returncode == 1
    assert "nobody exports exporter_" in done.error_text, done.error_text
    assert "--needs" in done.error_text
    assert not (tmp_path / "out").exists()
    done = package(
        "tar", samples["exporter_user.ko"], *words, "--needs", samples["exporter.ko"], tree=tree, cwd=tmp_path
    )
    assert done.returncode == 0, done.error_text


def test_signatures_are_required_with_a_certificate_and_only_its_own_pass(
    tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    ours, stranger = write_pair(tmp_path / "a", "rsa2048"), write_pair(tmp_path / "b", "rsa2048")
    shutil.copy(samples["hello.ko"], tmp_path / "hello.ko")
    words = (tmp_path / "hello.ko", "--version", "1", "--cert", ours, "-o", "out")
    done = package("tar", *words, tree=tree, cwd=tmp_path)
    assert (done.returncode, "not signed" in done.error_text) == (1, True), done.error_text
    for key, passes in ((stranger, False), (ours, True)):
        shutil.copy(samples["hello.ko"], tmp_path / "hello.ko")
        assert call("sign", "hello.ko", "--key", key, "--hash", "sha256", "-q", cwd=tmp_path).returncode == 0
        done = package("tar", *words, tree=tree, cwd=tmp_path)
        assert done.returncode == (0 if passes else 1), done.error_text
        assert (tmp_path / "out").exists() == passes
        # (said before the loader check, which accepts what a key may have signed that is not known)
        assert ("a trusted signature is required" in done.error_text) == (not passes), done.error_text
    # A changed module keeps its signature, which is then one over other contents.
    contents = bytearray((tmp_path / "hello.ko").read_bytes())
    at = contents.index(b"description=")
    contents[at + 12] ^= 1
    (tmp_path / "hello.ko").write_bytes(contents)
    shutil.rmtree(tmp_path / "out")
    done = package("tar", *words, tree=tree, cwd=tmp_path)
    assert done.returncode == 1
    assert "hello.ko" in done.error_text
    assert not (tmp_path / "out").exists()


def test_the_control_file_says_which_kernel_and_who(tree: KernelTree, samples: dict[str, Path], tmp_path: Path) -> None:
    done = package("deb", samples["hello.ko"], "--depends", "firmware-x", "--format", "json", tree=tree, cwd=tmp_path)
    file = tmp_path / made(done)
    fields = run(["dpkg-deb", "-f", file]).text
    assert f"Package: hello-modules-{tree.release}\n" in fields
    assert "Version: 1.0\n" in fields
    assert f"Maintainer: {MAINTAINER}\n" in fields
    assert f"Depends: linux-image-{tree.release}, kmod, firmware-x\n" in fields
    root = tmp_path / "root"
    run(["dpkg-deb", "-R", file, root])
    for script in ("postinst", "postrm"):
        run(["dash", "-n", root / "DEBIAN" / script])
    assert run(["md5sum", "-c", "--quiet", "DEBIAN/md5sums"], cwd=root).text == ""
    document = root / f"usr/share/doc/hello-modules-{tree.release}"
    assert gzip.decompress((document / "changelog.gz").read_bytes()).startswith(b"hello-modules-")
    assert (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
        in (document / "copyright").read_text()
    )


def test_a_module_that_states_a_command_as_a_name_gets_into_no_script(
    tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    contents = samples["exporter_user.ko"].read_bytes()
    evil = contents.replace(b"depends=exporter", b"depends=e;reboot")
    assert evil != contents
    (tmp_path / "exporter_user.ko").write_bytes(evil)
    words = ("--version", "1", "--needs", samples["exporter.ko"], "-o", "out")
    done = package("sysext", "exporter_user.ko", *words, tree=tree, cwd=tmp_path)
    assert (done.returncode, "'e;reboot' as the name of a module" in done.error_text) == (1, True), done.error_text
    assert not (tmp_path / "out").exists()


def test_a_dkms_conf_tells_what_the_modules_do_not(tree: KernelTree, samples: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "drv" / "build" / tree.release
    folder.mkdir(parents=True)
    for name in ("hello.ko", "params.ko"):
        contents = samples[name].read_bytes()
        (folder / name).write_bytes(contents.replace(b"\0version=", b"\0Version="))
    conf = tmp_path / "drv" / "dkms.conf"
    conf.write_text(
        'PACKAGE_NAME="My_Drv"\nPACKAGE_VERSION="2.5"\nBUILT_MODULE_NAME="hello"\nDEST_MODULE_LOCATION=/extra\n'
    )
    built = f"drv/build/{tree.release}"
    calls: dict[tuple[str | Path, ...], tuple[str, str]] = {
        ("drv",): ("my-drv", "2.5"),
        ("drv/build",): ("my-drv", "2.5"),
        (built,): ("my-drv", "2.5"),
        ("drv", "--name", "other"): ("other", "2.5"),
        ("drv", "--version", "3"): ("my-drv", "3"),
    }
    for number, (words, expected) in enumerate(calls.items()):
        done = package("tar", *words, "-o", f"out{number}", "--format", "json", tree=tree, cwd=tmp_path)
        value = json.loads(done.text)
        assert (value["name"], value["version"]) == expected, words
        assert f"{expected[1] if '--version' not in words else expected[0]}, as {conf} says" in done.error_text
    done = package("tar", "drv", "--name", "other", "--version", "3", "-o", "out", tree=tree, cwd=tmp_path)
    assert "says" not in done.error_text
    # A file says nothing of a directory, and what another user wrote is not run.
    files: list[str | Path] = [folder / "hello.ko", "--name", "other"]
    assert "needs a version" in package("tar", *files, "-o", "none", tree=tree, cwd=tmp_path).error_text
    files[0] = shutil.copy(folder / "hello.ko", folder.parent / "hello.ko")
    assert "needs a version" in package("tar", *files, "-o", "none", tree=tree, cwd=tmp_path).error_text
    (folder.parent / "hello.ko").unlink()
    os.chown(conf, 65534, 65534)
    done = package("tar", "drv", "--name", "other", "-o", "none", tree=tree, cwd=tmp_path)
    assert "needs a version" in done.error_text and "dkms.conf" not in done.error_text
    os.chown(conf, os.geteuid(), os.getegid())
    conf.write_text(
        'PACKAGE_NAME="my-drv"\nPACKAGE_VERSION="2.5-1"\nBUILT_MODULE_NAME="hello"\nDEST_MODULE_LOCATION=/extra\n'
    )
    broken = "echo broken; exit 1\n"
    for text, said in (
        (conf.read_text(), "the version 2.5-1 is none that"),
        (broken, "its name and version are not used"),
    ):
        conf.write_text(text)
        done = package("tar", "drv", "--name", "other", "-o", "none", tree=tree, cwd=tmp_path)
        assert (done.returncode, "needs a version" in done.error_text) == (2, True), done.error_text
        assert said in done.error_text, done.error_text
    assert not (tmp_path / "none").exists()


def test_wrong_calls_say_what_is_missing(tree: KernelTree, samples: dict[str, Path], tmp_path: Path) -> None:
    hello, params = samples["hello.ko"], samples["params.ko"]
    wrong = {
        (): "nothing to package",
        (hello, params, "--version", "1"): "needs a name",
        (hello, "--name", "../x"): "not the name of a package",
        (hello, "--version", "1-2"): "not a version",
        (hello, "--folder", "../../etc"): "not a folder",
        (hello, "--verity"): "an option of sysext",
        (hello, "--cert", "/dev/null"): "certificate",
        ("missing.ko",): "no such file or directory",
        (hello, "-j", "0"): "at least one job",
        (hello, hello.parent / "hello.ko", "--name", "two"): "both the module hello",
    }
    for words, said in wrong.items():
        done = package("tar", *words, "-o", "out", tree=tree, cwd=tmp_path)
        assert done.returncode == 2, (words, done.error_text)
        assert said in done.error_text, (words, done.error_text)
    done = package("tar", hello, "-o", "out", tree=tree, cwd=tmp_path, SOURCE_DATE_EPOCH="yesterday")
    assert (done.returncode, "SOURCE_DATE_EPOCH" in done.error_text) == (2, True)
    done = call("package", "deb", hello, "-k", tree.objects, cwd=tmp_path, DEBEMAIL="", DEBFULLNAME="")
    assert (done.returncode, "needs a maintainer" in done.error_text) == (2, True)
    assert not (tmp_path / "out").exists()
