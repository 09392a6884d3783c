# SPDX-License-Identifier: GPL-2.0-only
"""Packages on the systems that they are for: Debian 12 and 13 by apt, rpm's database, tools for images."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.command_line import call
from tests.support.debian_roots import debian_root, in_debian
from tests.support.kernel_trees import tree_of
from tests.support.keys import write_pair
from tests.support.module_packages import DATE, MAINTAINER, made, package, require_tools
from tests.support.samples import SAMPLES, built_samples

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

APT = """export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
apt() { apt-get -y -q -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false "$@" >>/mnt/apt.log 2>&1; }
listed() { find /usr/lib/modules /boot /etc /usr/share/doc /var/lib/dpkg/info /var/lib/dpkg/triggers \
    -type f 2>/dev/null | sort; }
say() { echo "$1 $2"; }
# (a small initramfs, which is made in seconds)
mkdir -p /etc/initramfs-tools/conf.d
echo MODULES=list >/etc/initramfs-tools/conf.d/small
"""

# (kernel, then package, then away with it; what modprobe says, what is left, how often the initramfs was made)
DEB = """apt update || exit 77
echo NAME >>/etc/initramfs-tools/modules
apt install linux-image-$release || exit 77
in_initrd() { lsinitramfs /boot/initrd.img-$release | grep -c 'updates/NAME'; }
listed >/tmp/before; sha256sum /usr/lib/modules/$release/modules.dep >/tmp/dep
before=$(stat -c %Y /boot/initrd.img-$release); sleep 1
apt install /mnt/*.deb; say install $?
say shown "$(modprobe -S $release -D NAME | tail -n 1)"
modprobe -S $release -n NAME; say found $?
say initrd "$(lsinitramfs /boot/initrd.img-$release >/dev/null && stat -c %Y /boot/initrd.img-$release) $before"
say packed "$(in_initrd)"
say made "$(grep -c 'update-initramfs: Generating' /mnt/apt.log)"
dpkg --audit | grep -q . ; say audit $?
dpkg -V 'PACKAGE' | grep -q .; say changed $?
apt remove PACKAGE; say remove $?
say unpacked "$(in_initrd)"
listed | grep -v /var/lib/dpkg/info/ >/tmp/after; say kept "$(comm -13 /tmp/before /tmp/after | tr '\\n' ' ')"
apt purge PACKAGE; say purge $?
listed >/tmp/after; say left "$(comm -13 /tmp/before /tmp/after | tr '\\n' ' ')"
say lost "$(comm -23 /tmp/before /tmp/after | tr '\\n' ' ')"
say dep "$(sha256sum --quiet -c /tmp/dep >/dev/null 2>&1; echo $?)"
apt install /mnt/*.deb; apt purge linux-image-$release; say kernel $?
dpkg-query -W -f '${Status}' PACKAGE 2>/dev/null | grep -q installed; say stays $?
say files "$(find /usr/lib/modules -type f | head -n 3 | tr '\\n' ' ')"
"""


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return tree_of("6.1")


@pytest.fixture(scope="module")
def samples(tree: KernelTree, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {path.name: path for path in built_samples(tree, tmp_path_factory)}


def steps(text: str) -> dict[str, str]:
    """What the script said, by its first words."""
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in text.splitlines()}


def assert_installed_and_gone(found: dict[str, str], release: str, file: str, log: str) -> None:
    assert (found["install"], found["found"], found["remove"]) == ("0", "0", "0"), log
    assert f"insmod /lib/modules/{release}/updates/{file} " in found["shown"], found
    after, before = map(int, found["initrd"].split())
    assert after > before
    assert (found["packed"], found["unpacked"]) == ("1", "0"), found
    assert (found["audit"], found["changed"]) == ("1", "1"), found
    # (removed, a package has its scripts left; purged, nothing)
    assert (found["kept"], found["left"], found["lost"], found["dep"]) == ("", "", "", "0"), found
    # (the kernel takes the package along)
    assert (found["kernel"], found["stays"], found["files"]) == ("0", "1", ""), found


def test_a_deb_on_debian_12(tree: KernelTree, samples: dict[str, Path], tmp_path: Path) -> None:
    root = debian_root("bookworm", ("kmod", "initramfs-tools"))
    for name in ("hello", "params"):
        words = (samples[f"{name}.ko"], "--version", "1", "-o", "shared")
        assert package("deb", *words, tree=tree, cwd=tmp_path).returncode == 0
    script = f"release={tree.release}\n{APT}{DEB}".replace("NAME", "hello")
    script = script.replace("PACKAGE", f"hello-modules-{tree.release}").replace(
        "apt remove ", f"apt remove params-modules-{tree.release} "
    )
    script = script.replace("apt purge hello", f"apt purge params-modules-{tree.release} hello")
    status, text, error = in_debian(root, script, tmp_path / "shared")
    log = (tmp_path / "shared/apt.log").read_text()
    if status == 77:
        pytest.skip(f"no such kernel in the archive: {log[-300:]}")
    found = steps(text)
    print(found, error)
    assert_installed_and_gone(found, tree.release, "hello.ko", log)
    # The kernel's own, and one for the two packages.
    assert found["made"] == "2"


def test_a_deb_on_debian_13_with_a_module_that_its_kernel_s_key_has_signed(tmp_path: Path) -> None:
    root = debian_root("trixie", ("kmod", "initramfs-tools"))
    shared = tmp_path / "shared"
    shared.mkdir()
    fetch = f"""{APT}
apt update || exit 77
name=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p' | head -n 1)
cd /mnt && apt-get download -q "$name" >/dev/null 2>&1 || exit 77
echo "package $name"
"""
    status, text, _ = in_debian(root, fetch, shared)
    if status:
        pytest.skip("no kernel in the archive")
    release = steps(text)["package"].removeprefix("linux-image-")
    [image] = shared.glob("linux-image-*.deb")
    kernel = tmp_path / "kernel"
    run(["dpkg-deb", "-x", image, kernel])
    image.unlink()
    [module] = kernel.rglob("net/dummy.ko*")
    words = (module, "--version", "1", "--require-signature", "--maintainer", MAINTAINER)
    done = call("package", "deb", *words, "-k", kernel / f"boot/vmlinuz-{release}", "-o", shared, cwd=tmp_path)
    assert done.returncode == 0, done.error_text
    (shared / "apt.log").unlink()
    script = f"release={release}\n{APT}{DEB}".replace("NAME", "dummy")
    status, text, error = in_debian(root, script.replace("PACKAGE", f"dummy-modules-{release}"), shared)
    print(text, error)
    assert_installed_and_gone(steps(text), release, module.name, (shared / "apt.log").read_text())


def test_lintian_reports_no_error(tree: KernelTree, samples: dict[str, Path], tmp_path: Path) -> None:
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed")
    words = (samples["hello.ko"], "--format", "json")
    file = made(package("deb", *words, tree=tree, cwd=tmp_path))
    sources = call(
        "package", "dkms-deb", SAMPLES / "hello", "--maintainer", MAINTAINER, "-k", tree.objects, cwd=tmp_path
    )
    assert sources.returncode == 0, sources.error_text
    for each in (tmp_path / file, *tmp_path.glob("*-dkms_*.deb")):
        done = run(["lintian", "--allow-root", "--tag-display-limit", "0", each], check=False)
        print(done.text)
        assert [line for line in done.text.splitlines() if line.startswith("E:")] == []


def symbols(kind: str, text: str) -> dict[str, int]:
    """The symbols in what a package provides or requires, with their versions."""
    found = re.findall(rf"^{kind}\((\w+)\) = 0x([0-9a-f]{{8}})$", text, re.MULTILINE)
    return {name: int(crc, 16) for name, crc in found}


def test_rpm_installs_it_and_knows_symbols_with_their_versions(
    tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    require_tools("rpm")
    pair = (samples["exporter.ko"], samples["exporter_user.ko"])
    words = ("--name", "pair", "--version", "1", "--format", "json")
    file = tmp_path / made(package("rpm", *pair, *words, tree=tree, cwd=tmp_path))
    root = tmp_path / "root"
    root.mkdir()
    rpm: list[str | Path] = ["rpm", "--root", root]
    run([*rpm, "--initdb"])
    assert "kernel-uname-r" in run([*rpm, "-i", "--ignorearch", file], check=False).error_text
    run([*rpm, "-i", "--nodeps", "--noscripts", "--ignorearch", file])
    folder, *listed = run([*rpm, "-ql", "kmod-pair"]).text.split()
    assert folder == f"/usr/lib/modules/{tree.release}/updates"
    assert listed == [f"{folder}/{path.name}" for path in pair]
    assert all((root / path[1:]).read_bytes() == samples[Path(path).name].read_bytes() for path in listed)
    run([*rpm, "-V", "--nodeps", "kmod-pair"])
    # modpost's list of what is exported, and with which version.
    provided = symbols("ksym", run([*rpm, "-q", "--provides", "kmod-pair"]).text)
    [symvers] = [path for path in pair[0].parents[1].rglob("Module.symvers") if b"exporter" in path.read_bytes()]
    assert provided == {line.split("\t")[1]: int(line[:10], 16) for line in symvers.read_text().splitlines()}
    required = run([*rpm, "-q", "--requires", "kmod-pair"]).text
    assert "kernel-uname-r = 6.1.0-" in required
    assert "ksym(" not in required
    run([*rpm, "-e", "--nodeps", "--noscripts", "kmod-pair"])
    assert not (root / folder[1:]).exists()
    # The user alone requires what the exporter provides, with the same version.
    lone = ("--version", "1", "--format", "json", "--needs", str(pair[0]), "-o", "alone")
    alone = tmp_path / made(package("rpm", pair[1], *lone, tree=tree, cwd=tmp_path))
    needed = symbols("ksym", run(["rpm", "-qp", "--requires", alone]).text)
    assert needed and needed.items() <= provided.items()
    weakly = ("--name", "pair", "--version", "1", "--format", "json", "--weak", "-o", "weak")
    weak = tmp_path / made(package("rpm", *pair, *weakly, tree=tree, cwd=tmp_path))
    text = run(["rpm", "-qp", "--requires", weak]).text
    kernels = symbols("kernel", text)
    theirs = {line.split("\t")[1]: int(line[:10], 16) for line in tree.symvers.read_text().splitlines()}
    assert kernels and kernels.items() <= theirs.items()
    assert "kernel-uname-r" not in text


def test_a_tool_of_its_own_unpacks_the_image(tree: KernelTree, samples: dict[str, Path], tmp_path: Path) -> None:
    busybox = Path("/bin/busybox")
    words = (samples["hello.ko"], "--format", "json", *(("--cp", busybox) if busybox.exists() else ()))
    file = tmp_path / made(package("oci", *words, tree=tree, cwd=tmp_path))
    path = f"opt/lib/modules/{tree.release}/updates/hello.ko"
    used = 0
    layout = tmp_path / "layout"
    layout.mkdir()
    run(["tar", "-C", layout, "-xf", file])
    tag = tree.release.replace("+", "_")
    if shutil.which("skopeo"):
        used += 1
        found = json.loads(run(["skopeo", "inspect", f"oci-archive:{file}"]).text)
        assert found["Labels"]["kbuildpy.kernel.release"] == tree.release
        copied = tmp_path / "copied"
        run(["skopeo", "copy", "--insecure-policy", f"oci-archive:{file}", f"dir:{copied}"])
        [layer] = json.loads((copied / "manifest.json").read_text())["layers"]
        with tarfile.open(copied / layer["digest"].removeprefix("sha256:")) as archive:
            unpacked = archive.extractfile(path)
            assert unpacked is not None and unpacked.read() == samples["hello.ko"].read_bytes()
    if shutil.which("umoci"):
        used += 1
        bundle = tmp_path / "bundle"
        run(["umoci", "unpack", "--rootless", "--image", f"{layout}:{tag}", bundle])
        root = bundle / "rootfs"
        assert (root / path).read_bytes() == samples["hello.ko"].read_bytes()
        # KMM's worker asks modprobe so.
        shown = run(["modprobe", "-d", root / "opt", "-S", tree.release, "-D", "hello"]).text
        assert shown.strip().endswith("updates/hello.ko")
        if busybox.exists():
            target = tmp_path / "copied.ko"
            run([root / "bin/cp", root / path, target])
            assert target.read_bytes() == samples["hello.ko"].read_bytes()
    if not used:
        pytest.skip("neither skopeo nor umoci is installed")


@pytest.mark.parametrize("file_system", ["squashfs", "erofs"])
def test_the_hash_tree_is_the_image_s_and_the_key_has_signed_its_root(
    file_system: str, tree: KernelTree, samples: dict[str, Path], tmp_path: Path
) -> None:
    if not all(map(shutil.which, ("mksquashfs", "mkfs.erofs", "veritysetup", "openssl"))):
        pytest.skip("needs squashfs-tools, erofs-utils, cryptsetup-bin and openssl")
    pair = write_pair(tmp_path, "rsa2048")
    words = (samples["hello.ko"], "--file-system", file_system, "--verity-key", pair, "--verity-cert", pair)
    for out in ("one", "two"):
        assert package("sysext", *words, "-o", out, tree=tree, cwd=tmp_path).returncode == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    stem = f"hello-{tree.release}"
    assert names == [f"{stem}{suffix}" for suffix in (".raw", ".roothash", ".roothash.p7s", ".verity")]
    one, two = tmp_path / "one", tmp_path / "two"
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    root_hash = (one / f"{stem}.roothash").read_text()
    image, hashes = one / f"{stem}.raw", one / f"{stem}.verity"
    run(["veritysetup", "verify", image, hashes, root_hash])
    signed: list[str | Path] = [
        "-inform",
        "der",
        "-in",
        one / f"{stem}.roothash.p7s",
        "-content",
        one / f"{stem}.roothash",
    ]
    trusted: list[str | Path] = ["-nointern", "-certfile", pair, "-CAfile", pair, "-purpose", "any"]
    run(["openssl", "smime", "-verify", "-binary", *signed, *trusted])
    contents = bytearray(image.read_bytes())
    contents[len(contents) // 2] ^= 1
    image.write_bytes(contents)
    assert run(["veritysetup", "verify", image, hashes, root_hash], check=False).returncode != 0


def test_a_dkms_package_is_built_by_debian_s_dkms(tree: KernelTree, tmp_path: Path) -> None:
    root = debian_root("bookworm", ("kmod",))
    shutil.copytree(SAMPLES / "hello", tmp_path / "hello", ignore=shutil.ignore_patterns("build"))
    words = ("--maintainer", MAINTAINER, "-k", tree.objects, "-o", "shared")
    done = call("package", "dkms-deb", "hello", *words, cwd=tmp_path, SOURCE_DATE_EPOCH=str(DATE))
    assert done.returncode == 0, done.error_text
    assert "built for" in done.text
    script = f"""release={tree.release}
{APT}
apt update || exit 77
apt install linux-image-$release linux-headers-$release || exit 77
apt install /mnt/*.deb; say install $?
say status "$(dkms status)"
say shown "$(modprobe -S $release -D hello | tail -n 1)"
apt purge hello-dkms; say remove $?
say left "$(ls -d /usr/src/hello* /var/lib/dkms/hello /usr/lib/modules/$release/updates/dkms/hello.ko* 2>/dev/null)"
"""
    status, text, error = in_debian(root, script, tmp_path / "shared", timeout=1500)
    if status == 77:
        pytest.skip("no such kernel in the archive")
    found = steps(text)
    print(found, error)
    assert (found["install"], found["remove"], found["left"]) == ("0", "0", ""), (
        tmp_path / "shared/apt.log"
    ).read_text()[-2000:]
    assert "installed" in found["status"]
    assert "/updates/dkms/hello.ko" in found["shown"]
