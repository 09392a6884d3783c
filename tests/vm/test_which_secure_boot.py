# SPDX-License-Identifier: GPL-2.0-only
"""Under Secure Boot the kernel loads the modules of which `which` says so: by its own key, by its owner's, by revoked
and by strange ones. The keys of the owner and the lists of what is revoked are in the firmware's variables."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.compression import decompress
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.run import run
from kbuildpy.signing.certificates import parse_certificate
from kbuildpy.signing.signer import sign_module
from kbuildpy.signing.trailer import split_signature
from kbuildpy.vm.initramfs import make_initramfs
from kbuildpy.which.judge import judge, judging_kernel
from kbuildpy.which.look_up import look_up
from kbuildpy.which.place import KernelPlace, find_place
from tests.support.efi_guests import boot_securely
from tests.support.keys import signer_of, write_pair
from tests.support.modprobe_roots import write
from tests.support.shipped_kernels import NATIVE, ShippedKernel, shipped_kernel
from tests.support.signature_lists import FILE, SHIM, TBS, X509, signature_list

pytestmark = [pytest.mark.vm, pytest.mark.sweep]

SUBJECT = "drivers/net/dummy"
INIT = b"""#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
say() { echo "which: $*" >/dev/kmsg; }
insmod /efivarfs.ko
mount -t efivarfs efivarfs /sys/firmware/efi/efivars || say no efivarfs
mount -t securityfs securityfs /sys/kernel/security
say file /sys/kernel/security/lockdown $(base64 -w 0 /sys/kernel/security/lockdown)
while read -r line; do say keys "$line"; done </proc/keys
for file in /sys/firmware/efi/efivars/*; do
    case $file in
    */db-* | */dbx-* | */Mok* | */SecureBoot-*)
        say begin "$file"
        base64 -w 600 "$file" | while read -r line; do say more "$line"; done
        ;;
    esac
done
for name in own mine revoked dated whole listed stranger unsigned; do
    insmod "/$name.ko" 2>/dev/null
    say insmod "$name" $?
    rmmod dummy 2>/dev/null
done
say end
poweroff -f
"""


def module_called(kernel: ShippedKernel, name: str) -> bytes:
    [path] = [path for path in kernel.modules if str(path).partition("/kernel/")[2].partition(".ko")[0] == name]
    return decompress(path.read_bytes())


@pytest.mark.parametrize("line", NATIVE)
def test_the_kernel_loads_what_we_say_under_secure_boot(line: str, tmp_path: Path) -> None:
    kernel = shipped_kernel(line)
    tree = kernel.tree
    own = module_called(kernel, SUBJECT)
    taken = split_signature(own)
    assert taken is not None
    plain = bytes(taken.contents)
    modules, lists = {"own": own, "unsigned": plain}, {}
    for name in ("mine", "revoked", "dated", "whole", "stranger"):
        (tmp_path / name).mkdir()
        pair = write_pair(tmp_path / name, "rsa2048")
        modules[name] = sign_module(plain, signer_of(pair, "sha256")) or b""
        lists[name] = x509.load_pem_x509_certificate(pair.read_bytes()).public_bytes(Encoding.DER)
    modules["listed"] = sign_module(plain + bytes(8), signer_of(tmp_path / "mine/rsa2048.pem", "sha256")) or b""
    revoked, dated = (
        bytes.fromhex(parse_certificate(lists[name], "").tbs_hash.removeprefix("tbs:")) for name in ("revoked", "dated")
    )
    variables = {
        ("MokListRT", SHIM): b"".join(
            signature_list(X509, lists[name]) for name in ("mine", "revoked", "dated", "whole")
        ),
        # (Linux takes the time of a revocation, which belongs there, for a part of the digest)
        ("MokListXRT", SHIM): signature_list(TBS, revoked)
        + signature_list(TBS, dated + bytes(16))
        + signature_list(X509, lists["whole"])
        + signature_list(FILE, sha256(modules["listed"]).digest()),
    }
    files = {f"{name}.ko": contents for name, contents in modules.items()}
    files["efivarfs.ko"] = module_called(kernel, "fs/efivarfs/efivarfs")
    console = boot_securely(kernel.image, make_initramfs(files, init=INIT), variables, tmp_path)
    said = [found[1] for each in console if (found := re.search(r"which: (.*)", each))]
    assert said and said[-1] == "end", console[-20:]
    kernel_takes = {words[1]: words[2] == "0" for each in said if (words := each.split())[0] == "insmod"}
    # (Debian's kernels have no list of whole certificates; those up to 6.12 look for the digests of files)
    expected = ["own", "mine", "dated", "whole", *(["listed"] if line == NATIVE[-1] else [])]
    assert [name for name, takes in kernel_takes.items() if takes] == expected
    assert kernel_takes.keys() == modules.keys()

    root = tmp_path / "root"
    place = machine(root, said, tree.release)
    for knows_rings in (False, True):
        if knows_rings:
            write(root, "proc/sys/kernel/osrelease", f"{tree.release}\n")
            place = KernelPlace(place.system, place.release, place.directory)
        for name, contents in modules.items():
            write(root, f"lib/modules/{tree.release}/kernel/dummy.ko", contents)
            judging = judging_kernel(kernel.by_tree, tree, place, files=[], sig_enforce=False, lockdown=False)
            [looked] = look_up("dummy", place)
            answer = judge(looked, place, lambda judging=judging: judging)  # type: ignore[misc]
            assert judging.enforced
            # (in which rings the keys are, only keyctl(2) tells, on the machine itself)
            doubts = knows_rings and name in ("revoked", "whole", "stranger")
            assert answer.loads is (None if doubts and answer.loads is None else kernel_takes[name]), (
                name,
                answer.stop,
            )


def machine(root: Path, said: list[str], release: str) -> KernelPlace:
    """The machine as the guest tells of it, with a list of modules that has `dummy`."""
    texts: dict[str, str] = {}
    name = ""
    for each in said:
        kind, _, rest = each.partition(" ")
        if kind == "begin":
            name = rest.strip()
            texts[name] = ""
        elif kind == "more":
            texts[name] += rest.strip()
        elif kind == "file":
            path, text = rest.split()
            texts[path] = text
    assert any("MokListRT" in path for path in texts) and any("/db-" in path for path in texts)
    for path, text in texts.items():
        write(root, path, base64.b64decode(text))
    keys = [each.removeprefix("keys ") for each in said if each.startswith("keys ")]
    write(root, "proc/keys", "\n".join(keys) + "\n")
    write(root, f"lib/modules/{release}/kernel/dummy.ko", b"")
    for file in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        write(root, f"lib/modules/{release}/{file}", "")
    (root / "none").mkdir()
    run(["/sbin/depmod", "-C", root / "none", "-b", root, release], check=False)
    found = find_place(Rooted(root), release)
    assert found is not None
    return found
