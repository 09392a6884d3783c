# SPDX-License-Identifier: GPL-2.0-only
"""A kernel from 7.0 on that loads signed modules only believes the ML-DSA and SHA-3 signatures that we make.

Debian's understand these signatures, but have what verifies them as modules (SHA-3) or not at all (ML-DSA). So
crypto/mldsa.c and lib/crypto/mldsa.c of the kernel's own source are built as external modules, and loaded first.

No ML-DSA certificate fits in the place of Debian's, as in test_signed_modules.py. That of an authority does; what it
certifies may be added to the secondary keyring of the running kernel (certs/system_keyring.c:
restrict_link_by_builtin_and_secondary_trusted), which add_keys.c does in the guest.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.signing.trailer import split_signature
from kbuildpy.vm.image import fetch_kernel_image
from kbuildpy.vm.initramfs import make_initramfs
from kbuildpy.vm.qemu import boot
from tests.support.added_keys import with_keys
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import trees
from tests.support.keys import authority_certificate, issued_certificate, new_certificate, new_key
from tests.support.loading import INIT, ModuleReport, read_reports
from tests.support.packages import source_archive
from tests.support.samples import built_samples
from tests.support.shipped_modules import plain, shipped
from tests.support.trusting_kernels import ENFORCED, REFUSED, damaged, trusting_kernel

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]

# Each sample, the key that signs it, and the digest: a module of its own for each, so that one boot loads all.
SIGNATURES = {
    "hello": ("rsa2048", "sha3-256"),
    "params": ("rsa2048", "sha3-384"),
    "composite": ("rsa2048", "sha3-512"),
    "chardev": ("p256", "sha3-256"),
    "exporter": ("ml-dsa-44", ""),
    "exporter_user": ("ml-dsa-65", ""),
    "debug_messages": ("ml-dsa-87", ""),
}
KEYS = ("rsa2048", "p256", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
ML_DSA = [name for name, (key, _) in SIGNATURES.items() if key.startswith("ml-dsa")]
SHA_3 = [name for name in SIGNATURES if name not in ML_DSA]
DAMAGED = ("changed module", "changed signature")
UNSUPPORTED = "Loading of module with unsupported crypto is rejected"
KBUILD_FILES = {
    "Kbuild": "obj-m := crypto/ lib/crypto/",
    "crypto/Kbuild": "obj-m := mldsa.o",
    "lib/crypto/Kbuild": "obj-m := libmldsa.o\nlibmldsa-y := mldsa.o",
}


class Pair(NamedTuple):
    """A private key and its certificate, and the file that has both."""

    key: Any
    certificate: x509.Certificate
    file: Path

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


class Booted(NamedTuple):
    """What the kernel said of each module, and `kbuildpy verify`, by module and what was done to it; the errno of each
    attempt to add a certificate."""

    kernel: Mapping[tuple[str, str], ModuleReport]
    verify: Mapping[tuple[str, str], dict[str, Any]]
    certificates: Mapping[str, int]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Booted:
    place = tmp_path_factory.mktemp("ml-dsa")
    tree = newest_tree()
    authority_key = new_key("p256")
    authority = pair(authority_key, authority_certificate(authority_key), place / "authority.pem")
    pairs = {name: certified(name, authority, place / f"{name}.pem") for name in KEYS}
    other_authority = pair(new_key("p256"), authority.certificate, place / "other authority.pem")
    strangers = {name: certified(name, other_authority, place / f"other {name}.pem") for name in KEYS}
    by_itself = new_certificate(pairs["ml-dsa-44"].key, "signs itself", hash=None).public_bytes(Encoding.DER)
    by_stranger = strangers["ml-dsa-44"].der
    added = {**{name: pair.der for name, pair in pairs.items()}, "by a stranger": by_stranger, "by itself": by_itself}

    samples = {path.stem: path for path in built_samples(tree, tmp_path_factory)}
    tries = attempts(tree, samples, place, authority, pairs, strangers)
    image = trusting_kernel(fetch_kernel_image(tree.release), authority.certificate, place)
    reports, errnos = boot_with(image, tries, list(added.values()), place)
    early = {attempt: file for attempt, file in tries.items() if attempt[1] == "early"}
    verdicts = verdicts_of(early, image, pairs)
    # What modprobe would find the verifier by is put beside the image.
    aliases = ModuleImage.from_path(tries["mldsa", "verifier"]).modinfo_values("alias")
    (image.parent / "modules.alias").write_text("".join(f"alias {alias} mldsa\n" for alias in aliases))
    verdicts |= verdicts_of({attempt: file for attempt, file in tries.items() if attempt not in early}, image, pairs)
    return Booted(dict(zip(tries, reports, strict=True)), verdicts, dict(zip(added, errnos, strict=True)))


def boot_with(
    image: Path, tries: Mapping[tuple[str, str], Path], certificates: list[bytes], place: Path
) -> tuple[tuple[ModuleReport, ...], list[int]]:
    """Add the certificates in a guest, then try the modules there; their reports, and the errno of each addition."""
    contents = {f"modules/{number}.ko": file.read_bytes() for number, file in enumerate(tries.values())}
    listed = [f"{name} /{path}\n" for (name, _), path in zip(tries, contents, strict=True)]
    contents["modules/list"] = "".join(listed).encode()
    initramfs = make_initramfs(contents, init=INIT) + with_keys(certificates, place)
    log = boot(image, initramfs, parameters=(*ENFORCED, "rdinit=/add_keys"), timeout=300).log
    reports, _ = read_reports(log)
    return reports, [int(number) for number in re.findall(r"^certificate \d+: errno (\d+)$", "\n".join(log), re.M)]


def verdicts_of(
    tries: Mapping[tuple[str, str], Path], image: Path, pairs: Mapping[str, Pair]
) -> dict[tuple[str, str], dict[str, Any]]:
    """What `kbuildpy verify` says of the files, for the kernel with the certificates of `pairs` added to its own."""
    trusted = [word for item in pairs.values() for word in ("--cert", item.file)]
    said = kbuildpy("verify", *tries.values(), "-k", image, *trusted, "--format", "json")
    verdicts = {verdict["file"]: verdict for verdict in map(json.loads, said.text.splitlines())}
    return {attempt: verdicts[str(file)] for attempt, file in tries.items()}


def newest_tree() -> KernelTree:
    found = [tree for tree in trees() if tree.version >= (7, 0) and "-amd64" in tree.release]
    if not found:
        pytest.skip("no kernel headers from 7.0 on here")
    return max(found, key=lambda tree: tree.version)


def pair(key: Any, certificate: x509.Certificate, file: Path) -> Pair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return Pair(key, certificate, file)


def certified(kind: str, authority: Pair, file: Path) -> Pair:
    key = new_key(kind)
    return pair(key, issued_certificate(key, f"the {kind} key", authority.key), file)


def attempts(
    tree: KernelTree,
    samples: Mapping[str, Path],
    place: Path,
    authority: Pair,
    pairs: Mapping[str, Pair],
    strangers: Mapping[str, Pair],
) -> dict[tuple[str, str], Path]:
    """The files to load, in order: the signed samples before the kernel can verify them, what it lacks for that, and
    them again, damaged and not."""
    good, bad = {}, {}
    for name, (key, hash) in SIGNATURES.items():
        module = samples[name].read_bytes()
        good[name, "signed"] = signed(samples[name], pairs[key], place / "signed", hash)
        contents = good[name, "signed"].read_bytes()
        bad[name, "stranger's"] = signed(samples[name], strangers[key], place / "strange", hash)
        # (behind an ML-DSA signature is the trailer of 40 bytes)
        at = len(contents) - 40 - 20
        changes = damaged(module, contents), contents[:at] + bytes([contents[at] ^ 1]) + contents[at + 1 :]
        for case, changed in zip(DAMAGED, changes, strict=True):
            bad[name, case] = place / case / f"{name}.ko"
            bad[name, case].parent.mkdir(exist_ok=True)
            bad[name, case].write_bytes(changed)
    early = {(name, "early"): path for (name, _), path in good.items()}
    verifiers = [signed(path, authority, place / "verifiers", "sha256") for path in verifier_modules(tree, place)]
    return {**early, **{(module_name(path.name), "verifier"): path for path in verifiers}, **bad, **good}


def signed(module: Path, by: Pair, folder: Path, hash: str) -> Path:
    """A copy of `module` in `folder`, with a signature in the place of any that it has."""
    folder.mkdir(exist_ok=True)
    copy = folder / module.name
    contents = module.read_bytes()
    taken = split_signature(contents)
    copy.write_bytes(taken.contents if taken else contents)
    done = kbuildpy("sign", copy, "--key", by.file, *(["--hash", hash] if hash else []))
    assert done.returncode == 0, done.error_text
    return copy


def verifier_modules(tree: KernelTree, place: Path) -> list[Path]:
    """SHA-3's modules, which the kernel has, and ML-DSA's out of its source, in the order to load them in."""
    sha_3 = {}
    for name, path in shipped(tree):
        if name in ("lib/crypto/libsha3", "crypto/sha3"):
            sha_3[name] = plain(path, place / f"shipped/{Path(name).name}.ko")
    version = f"{tree.version[0]}.{tree.version[1]}"
    try:
        archive = source_archive(version)
    except KbuildError as error:
        pytest.skip(f"no package of the source of {version}: {error.message}")
    sources = [f"linux-source-{version}/{name}" for name in ("crypto/mldsa.c", "lib/crypto/mldsa.c")]
    sources.append(f"linux-source-{version}/lib/crypto/fips-mldsa.h")
    run(["tar", "-C", place, "-xf", archive, *sources], timeout=600)
    folder = place / f"linux-source-{version}"
    for name, text in KBUILD_FILES.items():
        (folder / name).write_text(f"{text}\n")
    done = kbuildpy("build", folder, "-k", tree.objects, "-o", place / "verifier")
    assert done.returncode == 0, done.error_text
    built = place / "verifier" / tree.release
    return [
        sha_3["lib/crypto/libsha3"],
        sha_3["crypto/sha3"],
        built / "lib/crypto/libmldsa.ko",
        built / "crypto/mldsa.ko",
    ]


def test_the_kernel_adds_no_certificates_but_those_of_its_authority(booted: Booted) -> None:
    # (one that ML-DSA has signed cannot be looked at before there is a verifier)
    refused = {"by a stranger": errno.ENOKEY, "by itself": errno.ENOENT}
    assert booted.certificates == {**dict.fromkeys(KEYS, 0), **refused}


def test_what_verifies_is_loaded(booted: Booted) -> None:
    verifiers = {name: report for (name, case), report in booted.kernel.items() if case == "verifier"}
    assert {name: report.insmod.status for name, report in verifiers.items()} == dict.fromkeys(
        ("libsha3", "sha3", "libmldsa", "mldsa"), 0
    )


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_kernel_takes_what_we_signed(booted: Booted, name: str) -> None:
    ours = booted.kernel[name, "signed"]
    assert (ours.insmod.status, ours.insmod.message) == (0, "")
    assert "E" not in ours.taints
    said = booted.verify[name, "signed"]
    assert (said["trusted"], said["errno"]) == (True, None)


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("name", SIGNATURES)
def test_the_kernel_refuses_what_was_changed_after_signing(booted: Booted, name: str, case: str) -> None:
    attempt = booted.kernel[name, case].insmod
    assert (attempt.status, attempt.log) == (errno.EKEYREJECTED, ())
    said = booted.verify[name, case]
    assert (said["trusted"], said["errno"]) == (False, "EKEYREJECTED")


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_kernel_refuses_the_signature_of_a_stranger(booted: Booted, name: str) -> None:
    attempt = booted.kernel[name, "stranger's"].insmod
    assert (attempt.status, set(attempt.log)) == (errno.EKEYREJECTED, {REFUSED})
    said = booted.verify[name, "stranger's"]
    assert (said["trusted"], said["errno"]) == (False, "ENOKEY")


@pytest.mark.parametrize("name", SHA_3)
def test_without_sha_3_the_kernel_says_that_it_lacks_something(booted: Booted, name: str) -> None:
    attempt = booted.kernel[name, "early"].insmod
    assert (attempt.status, set(attempt.log)) == (errno.EKEYREJECTED, {UNSUPPORTED})


@pytest.mark.parametrize("name", ML_DSA)
def test_without_ml_dsa_the_kernel_refuses_and_says_nothing(booted: Booted, name: str) -> None:
    attempt = booted.kernel[name, "early"].insmod
    assert (attempt.status, attempt.log) == (errno.EKEYREJECTED, ())
    said = booted.verify[name, "early"]
    assert (said["valid"], said["trusted"], said["errno"]) == (True, False, "EKEYREJECTED")
