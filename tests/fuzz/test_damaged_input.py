# SPDX-License-Identifier: GPL-2.0-only
"""Damaged signatures, certificates, keys, manifests, lists of digests, queues, caches, symvers and Kbuild files: no
traceback, no hang, no more memory than the input's size allows (`commands.py`).

Each kind takes FUZZ_SECONDS, by default 2. By hand:

    FUZZ_SECONDS=600 ./run test tests/fuzz -s

What a failure says names the seed (FUZZ_SEED brings it back) and keeps the files.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from base64 import encodebytes
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fuzz import server
from tests.fuzz.commands import Commands, Outcome, commands
from tests.fuzz.ders import damaged_der
from tests.fuzz.rules import kbuild_file
from tests.fuzz.texts import damaged_bytes, damaged_json
from tests.support.kbuild_sources import exporting, module, write_sources
from tests.support.kernel_trees import trees
from tests.support.signatures import MODULE, certificate, key, signed

SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
# (without being asked for more, every run tries the same)
SEED = os.environ.get("FUZZ_SEED") or (str(int(time.time())) if "FUZZ_SECONDS" in os.environ else "1")
MARKER = b"~Module signature appended~\n"
X509_LIST = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le


@dataclass
class Case:
    """One command with damaged input: its words, and how many bytes the input has."""

    words: list[str | Path]
    size: int
    environ: dict[str, str] = field(default_factory=dict)


Kind = Callable[[Path, Random], Case]
"""Lays out one case in a directory, which is the same one for all cases of a run."""


@pytest.fixture(scope="module")
def tool() -> Iterator[Commands]:
    with commands() as running:
        yield running


def damaged_signature(place: Path, chance: Random) -> Case:
    """A module with a damaged signature: checked, signed anew, or given to another module."""
    whole = signed(chance.choice(("rsa", "ec")), chance.choice(("sha256", "sha512")), use_key_id=chance.random() < 0.5)
    length = struct.unpack(">I", whole[-len(MARKER) - 4 : -len(MARKER)])[0]
    begin = len(whole) - len(MARKER) - 12 - length
    cms, trailer = whole[begin : begin + length], whole[begin + length : -len(MARKER)]
    cms = damaged_der(cms, chance) if chance.random() < 0.8 else damaged_bytes(cms, chance)
    if chance.random() < 0.8:
        trailer = trailer[:8] + struct.pack(">I", len(cms) & 0xFFFFFFFF)
    if chance.random() < 0.2:
        trailer = damaged_bytes(trailer, chance)
    contents = MODULE + cms + trailer + MARKER
    (place / "a.ko").write_bytes(contents)
    (place / "b.ko").write_bytes(MODULE)
    (place / "a.p7s").write_bytes(cms)
    signer: list[str | Path] = ["--key", place / "rsa.pem", "--cert", place / "rsa.crt"]
    trusted: list[str | Path] = ["--cert", place / "rsa.crt", "--cert", place / "ec.crt", "-j1"]
    calls: list[list[str | Path]] = [
        ["verify", place / "a.ko", *trusted, "--modinfo"],
        ["verify", place / "a.ko", *trusted, "--format", "json"],
        ["sign", place / "a.ko", *signer, *chance.choice(([], ["--replace"])), "-j1"],
        ["sign", "-s", place / "a.p7s", place / "b.ko"],
    ]
    return Case(chance.choice(calls), len(contents) + len(MODULE))


def damaged_certificate(place: Path, chance: Random) -> Case:
    """A damaged certificate, key, or list of certificates in one of the places where one is named."""
    kind = chance.choice(("rsa", "ec"))
    pieces = [certificate(kind).public_bytes(Encoding.DER), private_key(kind)]
    which = chance.randrange(3) and 1
    damage = damaged_der if chance.random() < 0.8 else damaged_bytes
    pieces[1 - which] = damage(pieces[1 - which], chance)
    der, private = pieces
    contents = der
    if chance.random() < 0.3:
        owner = bytes(16)
        contents = X509_LIST + struct.pack("<III", 28 + 16 + len(der), 0, 16 + len(der)) + owner + der
        if chance.random() < 0.5:
            contents = damaged_bytes(contents, chance)
    (place / "c.der").write_bytes(as_pem(contents, "CERTIFICATE", chance))
    (place / "k.pem").write_bytes(as_pem(private, "PRIVATE KEY", chance))
    (place / "a.ko").write_bytes(signed(kind))
    (place / "b.ko").write_bytes(MODULE)
    (place / "certs").mkdir(exist_ok=True)
    (place / "certs/c.der").write_bytes(contents)
    calls: list[list[str | Path]] = [
        ["verify", place / "a.ko", "--cert", place / "c.der", "-j1"],
        ["verify", place / "a.ko", "--cert-dir", place / "certs", "-j1", "--modinfo"],
        ["verify", place / "a.ko", "--mok", place / "c.der", "-j1"],
        ["verify", place / "a.ko", "--cert", place / f"{kind}.crt", "--revoked", place / "c.der", "-j1"],
        ["sign", place / "b.ko", "--key", place / "k.pem", "--cert", place / "c.der", "-j1"],
        ["sign", place / "b.ko", "--key", place / "k.pem", "--cert", place / f"{kind}.crt", "-j1"],
        ["sign", place / "b.ko", "--key", place / f"{kind}.pem", "--cert", place / "c.der", "-j1"],
    ]
    return Case(chance.choice(calls), 2 * len(contents) + len(private) + len(MODULE))


def as_pem(der: bytes, label: str, chance: Random) -> bytes:
    """The same in base64, now and then."""
    if chance.random() < 0.6:
        return der
    text = f"-----BEGIN {label}-----\n".encode() + encodebytes(der) + f"-----END {label}-----\n".encode()
    return damaged_bytes(text, chance) if chance.random() < 0.3 else text


def private_key(kind: str) -> bytes:
    """A private key as DER."""
    encoded: bytes = key(kind).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def damaged_manifest(place: Path, chance: Random) -> Case:
    """A manifest of modules that were signed, read or written on; or a template's manifest."""
    if chance.random() < 0.3:
        template = place / "template"
        if not template.is_dir():
            shutil.copytree(Path(__file__).parents[2] / "templates/modules/misc", template)
        whole = (Path(__file__).parents[2] / "templates/modules/misc/template.toml").read_bytes()
        text = damaged_bytes(whole, chance)
        (template / "template.toml").write_bytes(text)
        shutil.rmtree(place / "demo", ignore_errors=True)
        return Case(["new", template, "demo", "-o", place / "demo", "--author", "A <a@b.c>", "-q"], len(text))
    (place / "a.ko").write_bytes(signed("rsa"))
    (place / "b.ko").write_bytes(MODULE)
    lines = (place / "whole.jsonl").read_bytes().splitlines()
    at = chance.randrange(len(lines))
    lines[at] = damaged_json(lines[at], chance)
    contents = b"\n".join(lines) + chance.choice((b"\n", b"", b"\n\n", b"\n\0"))
    (place / "m.jsonl").write_bytes(contents)
    trusted: list[str | Path] = ["--cert", place / "rsa.crt", "-j1"]
    signer: list[str | Path] = ["--key", place / "rsa.pem", "--cert", place / "rsa.crt", "-j1"]
    calls: list[list[str | Path]] = [
        ["verify", "--manifest", place / "m.jsonl", *trusted],
        ["verify", "--manifest", place / "m.jsonl", place / "a.ko", place / "b.ko", *trusted, "--format", "json"],
        ["sign", "--manifest", place / "m.jsonl", place / "b.ko", *signer],
    ]
    return Case(chance.choice(calls), len(contents) + 2 * len(MODULE))


def damaged_work(place: Path, chance: Random) -> Case:
    """A list of digests that went to another machine, or a queue of modules."""
    (place / "a.ko").write_bytes(MODULE)
    (place / "b.ko").write_bytes(MODULE + b"b")
    kind = chance.choice(("list.json", "queue"))
    contents = damaged_bytes((place / f"whole.{kind}").read_bytes(), chance)
    (place / kind).write_bytes(contents)
    (place / "queue.done").unlink(missing_ok=True)
    if kind == "queue" and chance.random() < 0.5:
        (place / "queue.done").write_bytes(chance.randbytes(chance.randrange(60)))
    key: list[str | Path] = ["--key", place / "rsa.pem"]
    certificate: list[str | Path] = ["--cert", place / "rsa.crt", "--hash", "sha256", "-j1"]
    calls: list[list[str | Path]] = [
        ["sign", "--digests", place / "list.json", *key, *certificate],
        ["sign", place / "a.ko", place / "b.ko", "--import", place / "list.json", *certificate],
    ]
    if kind == "queue":
        calls = [
            ["sign", "--queue", place / "queue", *key, *certificate],
            ["sign", place / "a.ko", place / "b.ko", "--queue", place / "queue", *key, *certificate],
        ]
    return Case(chance.choice(calls), len(contents) + 2 * len(MODULE))


SMALL = {"Kbuild": "obj-m := one.o two.o\n", "one.c": exporting("int shared = 1;\nEXPORT_SYMBOL(shared);")}
SMALL["two.c"] = module("extern int shared;\nint *use(void);\nint *use(void) { return &shared; }")
CHANGED = module("int changed;")


def damaged_cache(place: Path, chance: Random) -> Case:
    """A build whose caches are damaged, the user's or the one in the output: what had been kept of the kernel tree, of
    the Kbuild files, of the headers, and of SCons."""
    pristine, cache = place / "pristine", place / "work"
    shutil.rmtree(cache, ignore_errors=True)
    shutil.copytree(pristine / "m", cache / "m", symlinks=True)
    # (nothing of it is ever written in place)
    shutil.copytree(pristine / "cache", cache / "cache", symlinks=True, copy_function=os.link)
    files = sorted(
        path
        for folder in (cache / "cache", cache / "m/build")
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix not in (".o", ".ko", ".gch", ".c", ".h")
    )
    size = 0
    for path in chance.sample(files, min(len(files), chance.choice((1, 1, 2, 5)))):
        contents = path.read_bytes()
        damaged = damaged_bytes(contents, chance)
        path.unlink()
        path.write_bytes(damaged)
        size += max(len(contents), len(damaged))
    if chance.random() < 0.5:
        (cache / "m/two.c").write_text(CHANGED)
    words: list[str | Path] = ["build", cache / "m", "-k", tree_path(), "-j1", *chance.choice(([], ["-n"], ["-c"]))]
    if chance.random() < 0.2:
        words = ["check", cache / "m/build", "-k", tree_path(), "-j1"]
    return Case(words, size + (30 << 20), {"KBUILDPY_CACHE": str(cache / "cache")})


def tree_path() -> Path:
    """The newest kernel tree that is installed."""
    return max(trees(), key=lambda tree: tree.version).objects


def damaged_symvers(place: Path, chance: Random) -> Case:
    """A module that is built with damaged symvers of another one."""
    shutil.rmtree(place / "m", ignore_errors=True)
    write_sources({"Kbuild": "obj-m := two.o\n", "two.c": SMALL["two.c"]}, place / "m")
    lines = [
        b"0x%08x\t%s\t%s\t%s\t%s"
        % (chance.getrandbits(32), name, b"../x/one", chance.choice((b"EXPORT_SYMBOL", b"EXPORT_SYMBOL_GPL")), b"NS")
        for name in (b"shared", b"printk", b"other", b"shared_" * chance.choice((1, 30)))
    ]
    if chance.random() < 0.5:
        lines = [line.rpartition(b"\t")[0] + b"\t" for line in lines]
    contents = damaged_bytes(b"\n".join(lines) + b"\n", chance)
    if chance.random() < 0.1:
        contents *= chance.choice((1, 2000))
    (place / "extra.symvers").write_bytes(contents)
    words: list[str | Path] = [
        "build",
        place / "m",
        "-k",
        tree_path(),
        "-j1",
        f"KBUILD_EXTRA_SYMBOLS={place}/extra.symvers",
    ]
    return Case(words, len(contents))


def odd_rules(place: Path, chance: Random) -> Case:
    """A Kbuild file with rules of its own, built once or twice in a row."""
    if chance.random() < 0.7:
        shutil.rmtree(place / "m", ignore_errors=True)
    write_sources({**SMALL, "d/three.c": module()}, place / "m")
    text = kbuild_file(chance)
    if chance.random() < 0.3:
        text = damaged_bytes(text.encode(), chance).decode(errors="surrogateescape")
    (place / "m/Kbuild").write_bytes(text.encode(errors="surrogateescape"))
    words: list[str | Path] = [
        "build",
        place / "m",
        "-k",
        tree_path(),
        *chance.choice(([], [], ["-n"], ["-K"], ["-c"])),
    ]
    return Case(words, len(text))


NEEDS_TREE = (damaged_cache, damaged_symvers, odd_rules)


def keys_and_certificates(place: Path) -> None:
    """What is sound: two keys, their certificates, a manifest of two modules."""
    for kind in ("rsa", "ec"):
        pem = key(kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (place / f"{kind}.pem").write_bytes(pem)
        (place / f"{kind}.crt").write_bytes(certificate(kind).public_bytes(Encoding.PEM))


@pytest.mark.parity
@pytest.mark.parametrize(
    "kind",
    [damaged_signature, damaged_certificate, damaged_manifest, damaged_work, damaged_cache, damaged_symvers, odd_rules],
)
def test_damaged_input_is_answered_in_time_and_without_a_traceback(kind: Kind, tool: Commands, tmp_path: Path) -> None:
    if kind in NEEDS_TREE and not trees():
        pytest.skip("no kernel headers are installed")
    place = tmp_path / "place"
    place.mkdir()
    prepare(kind, place, tool)
    counted: Counter[int] = Counter()
    slowest = largest = 0.0
    stop = time.monotonic() + SECONDS
    while time.monotonic() < stop or not counted:
        chance = Random(f"{SEED} {kind.__name__} {counted.total()}")
        case = kind(place, chance)
        outcome = tool.run(case.words, place, case.environ)
        words = " ".join(str(word) for word in case.words)
        fault = outcome.fault(case.size)
        assert not fault, f"FUZZ_SEED={SEED}, number {counted.total()}: kbuildpy {words}\n{fault}"
        counted[outcome.status] += 1
        slowest, largest = max(slowest, outcome.seconds), max(largest, outcome.memory / (1 << 20))
    print(
        f"\nFUZZ_SEED={SEED}, {kind.__name__}: {counted.total()} commands, exit status {dict(counted)},"
        f" the slowest {slowest:.1f} s, the largest {largest:.0f} MiB"
    )
    # Damage that matters, and damage that does not: else the readers were never asked.
    assert counted.total() < 300 or len(counted) >= 2


def prepare(kind: Kind, place: Path, tool: Commands) -> None:
    """What the cases of `kind` begin with."""
    keys_and_certificates(place)
    words: list[str | Path]
    if kind is damaged_manifest:
        for name in ("a.ko", "b.ko"):
            (place / name).write_bytes(MODULE)
        words = ["sign", place / "a.ko", place / "b.ko", "--key", place / "rsa.pem"]
        words += ["--cert", place / "rsa.crt", "--manifest", place / "whole.jsonl"]
        assert tool.run(words, place).status == 0
    if kind is damaged_work:
        for name, contents in {"a.ko": MODULE, "b.ko": MODULE + b"b", "c.ko": b""}.items():
            (place / name).write_bytes(contents)
        both: list[str | Path] = ["sign", place / "a.ko", place / "b.ko", "--cert", place / "rsa.crt"]
        both += ["--hash", "sha256"]
        assert tool.run([*both, "--export", place / "whole.list.json"], place).status == 0
        words = [
            "sign",
            "--digests",
            place / "whole.list.json",
            "--key",
            place / "rsa.pem",
            "--cert",
            place / "rsa.crt",
        ]
        assert tool.run(words, place).status == 0
        # (a module that cannot be signed keeps the queue)
        assert (
            tool.run([*both, place / "c.ko", "--key", place / "rsa.pem", "--queue", place / "queue"], place).status == 1
        )
        (place / "queue").rename(place / "whole.queue")
    if kind is damaged_cache:
        write_sources(SMALL, place / "pristine/m")
        # (built where the copies lie, so that what the caches say is true of them)
        (place / "pristine").rename(place / "work")
        cache = {"KBUILDPY_CACHE": str(place / "work/cache")}
        for command, directory in (("build", "m"), ("check", "m/build")):
            call: list[str | Path] = [command, place / "work" / directory, "-k", tree_path()]
            outcome = tool.run(call, place, cache, seconds=120)
            assert outcome.status == 0, outcome.error
        (place / "work").rename(place / "pristine")


FAULTS = {
    "1 / 0": "exit status 70",
    "time.sleep(60)": "it hangs",
    "bytearray(b'x') * (300 << 20)": "MiB of memory",
    "print('a.ko: internal error (IndexError: ...)')": "it says",
    "None": "",
}


@pytest.mark.parametrize("code", FAULTS)
def test_each_fault_of_a_command_is_seen(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def main(argv: list[str]) -> int:
        eval(argv[0], {"time": time})
        return 0

    monkeypatch.setattr(server, "main", main)
    fault = Outcome(**server.one({"argv": [code], "cwd": str(tmp_path), "environ": {}, "seconds": 1.0})).fault(0)
    assert FAULTS[code] in fault and bool(fault) == bool(FAULTS[code])
