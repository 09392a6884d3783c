# SPDX-License-Identifier: GPL-2.0-only
"""Installs the same modules with make and with kbuildpy, and compares the two trees file by file."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kbuildpy.execute import Completed
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import REPRODUCIBLE, kbuildpy, make
from tests.support.kbuild_sources import WRITTEN_FOR
from tests.support.kernel_trees import private_tree, usual_tree
from tests.support.keys import new_certificate, new_key
from tests.support.packages import other_compiler
from tests.support.samples import SAMPLES

COMPRESSORS = {"GZIP": ".gz", "XZ": ".xz", "ZSTD": ".zst"}


@dataclass(frozen=True)
class Built:
    """A module directory that make has built in place and kbuildpy in its `build`, for `tree`."""

    tree: KernelTree
    directory: Path

    @property
    def modules(self) -> list[Path]:
        """The modules that make built."""
        found = self.directory.rglob("*.ko")
        return sorted(path for path in found if "build" not in path.relative_to(self.directory).parts)

    @property
    def ours(self) -> Path:
        """Where kbuildpy built."""
        return self.directory / "build" / self.tree.release


def build(tree: KernelTree, directory: Path) -> Built:
    """Build what lies in `directory` with both; they make the same modules."""
    variables = [REPRODUCIBLE, *other_compiler(tree)]
    done = make(tree, directory, variables)
    assert done.returncode == 0, done.error_text
    done = kbuildpy("build", directory, "-k", str(tree.objects), *variables)
    assert done.returncode == 0, done.error_text
    built = Built(tree, directory)
    assert built.modules
    for path in built.modules:
        assert (built.ours / path.relative_to(directory)).read_bytes() == path.read_bytes()
    return built


def build_sample(name: str, place: Path) -> Built:
    """One of the sample modules, copied to `place` and built for the usual tree."""
    shutil.copytree(SAMPLES / name, place)
    return build(usual_tree(), place)


def copies(built: Built, folder: Path, count: int) -> list[Path]:
    """The module of `built` under many names, in a new folder."""
    [module] = built.ours.glob("*.ko")
    folder.mkdir()
    return [Path(shutil.copy(module, folder / f"{module.stem}{number}.ko")) for number in range(count)]


def install_with_make(
    built: Built, root: Path, variables: Sequence[str] = (), *, kdir: Path | None = None
) -> Completed:
    """`make modules_install`, the oracle; `kdir` is another kernel tree of the same release."""
    tree = open_tree(kdir) if kdir else built.tree
    words = [f"INSTALL_MOD_PATH={root}", *other_compiler(tree), *variables]
    done = make(tree, built.directory, words, goal="modules_install")
    assert done.returncode == 0, done.error_text
    if kdir and tree.version > WRITTEN_FOR and not list(root.rglob("*.ko*")):
        pytest.skip(f"make installs nothing for a copy of the tree of {tree.release}")
    return done


def install_with_kbuildpy(
    built: Built,
    root: Path,
    variables: Sequence[str] = (),
    *,
    kdir: Path | None = None,
    env: dict[str, str] | None = None,
    status: int = 0,
) -> Completed:
    """`kbuildpy install`, which ends with `status`."""
    kernel = str(kdir or built.tree.objects)
    done = kbuildpy("install", built.directory, "-k", kernel, "--root", str(root), *variables, env=env)
    assert done.returncode == status, done.text + done.error_text
    return done


def installed(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Everything below `root`: mode, owner, group, and a file's bytes."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        contents = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, contents)
    return found


def assert_same_tree(oracle: Path, ours: Path) -> None:
    """The same names below both, with the same modes, owners and bytes."""
    theirs, mine = installed(oracle), installed(ours)
    assert [name for name in theirs if name.endswith((".ko", *COMPRESSORS.values()))], "make installed no module"
    assert sorted(mine) == sorted(theirs)
    assert {name: mine[name][:3] for name in mine} == {name: theirs[name][:3] for name in theirs}
    different = [name for name in theirs if mine[name] != theirs[name]]
    assert not different, f"other bytes than make's: {', '.join(different)}"


def messages(done: Completed, root: Path) -> list[str]:
    """Kbuild's lines (`  INSTALL lib/modules/...`), sorted: 6.1 works in alphabetical order."""
    return sorted(line.replace(f"{root}/", "") for line in done.text.splitlines() if line.startswith("  "))


def configured_tree(tree: KernelTree, place: Path, config: Mapping[str, str]) -> Path:
    """A private copy of `tree` with a key to sign with, a System.map, and `config` in place of the symbols about
    compression and the key; its object part."""
    place.mkdir()
    objects = private_tree(tree, place)
    auto_conf = objects / "include/config/auto.conf"
    lines = auto_conf.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("CONFIG_MODULE_COMPRESS", "CONFIG_MODULE_SIG_KEY="))]
    wanted = {"CONFIG_MODULE_SIG_KEY": '"certs/signing_key.pem"', **config}
    kept = [line for line in kept if line.partition("=")[0] not in wanted]
    kept += [f"{name}={value}" for name, value in wanted.items() if value != "n"]
    auto_conf.write_text("\n".join(kept) + "\n")
    (objects / "certs").mkdir()
    make_key(objects / "certs/signing_key.pem", objects / "certs/signing_key.x509")
    symbols = [line.split("\t")[1] for line in tree.symvers.read_text().splitlines()]
    (objects / "System.map").write_text("".join(f"ffffffff81000000 T {name}\n" for name in symbols))
    return objects


def make_key(key: Path, certificate: Path) -> None:
    """A private key (PEM) and its certificate (DER), as the kernel's build makes them."""
    private = new_key("rsa2048")
    made = new_certificate(private, "Build time autogenerated kernel key")
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    certificate.write_bytes(made.public_bytes(Encoding.DER))
    key.chmod(0o600)
