# SPDX-License-Identifier: GPL-2.0-only
"""Provenance, SBOM and reproduction of modules: rebuilt by make and by kbuildpy, read by others' validators."""

from __future__ import annotations

import base64
import io
import json
import lzma
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.signing.signer_certificate import load_certificate
from tests.support.builds import kbuildpy, make
from tests.support.command_line import call
from tests.support.edits import edit
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import private_tree, trees, usual_tree
from tests.support.keys import write_pair
from tests.support.no_namespaces import REFUSING
from tests.support.packages import other_compiler, unpacked
from tests.support.proofs import TWO_SOURCES, ProvedModule, named, proved, statement
from tests.support.samples import SAMPLES

pytestmark = pytest.mark.parity

EDITABLE = {
    "Kbuild": "obj-m := proved.o\n",
    "proved.c": module("#include <pcmcia/device_id.h>\n", header="linux/mod_devicetable.h"),
}
"""A module that includes a header which may be edited in a private tree."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> ProvedModule:
    """A module of two sources; not to be changed."""
    return proved(usual_tree(), tmp_path_factory.mktemp("proof") / "drv", TWO_SOURCES)


@pytest.fixture
def copy(built: ProvedModule) -> Iterator[ProvedModule]:
    """The same; what a test changes at its place is put back after it."""
    kept = built.directory.with_name("kept")
    shutil.copytree(built.directory, kept, symlinks=True)
    yield built
    shutil.rmtree(built.directory)
    kept.rename(built.directory)


def test_both_builders_make_the_recorded_module_again_also_signed_and_compressed(
    built: ProvedModule, tmp_path: Path
) -> None:
    pair = write_pair(tmp_path, "p256")
    shutil.copy(built.ko, tmp_path / "proved.ko")
    assert kbuildpy("sign", tmp_path / "proved.ko", "--key", pair, "--hash", "sha256").returncode == 0
    packed = tmp_path / "proved.ko.xz"
    packed.write_bytes(lzma.compress((tmp_path / "proved.ko").read_bytes(), check=lzma.CHECK_CRC32))
    done = kbuildpy("reproduce", packed, "--manifest", built.manifest, "--unverified", "--format", "json")
    assert done.returncode == 0, done.text + done.error_text
    found = json.loads(done.text)
    assert (found["equal"], found["recorded"], found["at_path"], found["inputs"]) == (True, True, True, [])
    assert [(item["builder"], item["equal"]) for item in found["builders"]] == [("kbuildpy", True), ("make", True)]


def test_a_stripped_copy_is_the_recorded_module(built: ProvedModule, tmp_path: Path) -> None:
    copy = Path(shutil.copy(built.ko, tmp_path / "proved.ko"))
    run(["strip", "--strip-debug", copy])
    words = ("--manifest", built.manifest, "--unverified", "--kbuildpy-only", "--format", "json")
    done = kbuildpy("reproduce", copy, *words)
    assert done.returncode == 0, done.text + done.error_text
    found = json.loads(done.text)
    assert (found["recorded"], found["builders"][0]["stripped"]) == (True, True)


def test_the_statement_has_the_digests_of_what_make_reads(built: ProvedModule) -> None:
    """The oracle is sha256sum, over what the compiler's depfile and dpkg name."""
    found = statement(built.manifest)["predicate"]["buildDefinition"]["resolvedDependencies"]
    digests = {item["name"]: item["digest"]["sha256"] for item in found}
    files = {
        "$(src)/one.c": built.directory / "one.c",
        "$(src)/two.c": built.directory / "two.c",
        "$(src)/shared.h": built.directory / "shared.h",
        "$(src)/Kbuild": built.directory / "Kbuild",
        "$(srctree)/include/linux/module.h": built.tree.source / "include/linux/module.h",
        "$(objtree)/include/generated/autoconf.h": built.tree.objects / "include/generated/autoconf.h",
        "$(objtree)/Module.symvers": built.tree.objects / "Module.symvers",
        "make": Path("/usr/bin/make"),
    }
    told = run(["sha256sum", *files.values()]).text.split()[::2]
    assert dict(zip(files, told, strict=True)) == {name: digests[name] for name in files}
    [compiler] = [item for item in found if item["annotations"].get("role") == "compiler"]
    assert compiler["annotations"]["version"] in run([compiler["name"], "--version"]).text


def test_refuses_to_say_what_has_changed_since(copy: ProvedModule, tmp_path: Path) -> None:
    edit(copy.directory / "shared.h", "7", "8")
    done = call("provenance", copy.ko, cwd=tmp_path)
    assert (done.returncode, done.text) == (1, "")
    assert "one.o: its source, or a header of the module, has changed since it was compiled" in done.error_text
    edit(copy.directory / "shared.h", "8", "7")
    assert call("provenance", copy.ko, cwd=tmp_path).text == copy.manifest.read_text()
    (copy.directory / "Kbuild").write_text("obj-m := proved.o\nproved-y := one.o two.o\nccflags-y := -DMORE\n")
    done = call("provenance", copy.ko, cwd=tmp_path)
    assert (done.returncode, done.text) == (1, "")
    assert "Kbuild would make it by another command now: it was made without -DMORE" in done.error_text


def test_finds_the_build_of_a_module_that_lies_elsewhere(built: ProvedModule, tmp_path: Path) -> None:
    shutil.copy(built.ko, tmp_path)
    for out in (built.ko.parent, built.directory / "build"):
        done = call("provenance", "proved.ko", "--build", out, cwd=tmp_path)
        assert (done.returncode, done.error_text) == (0, "")
        assert json.loads(done.text) == statement(built.manifest)
    done = call("provenance", "proved.ko", "--build", built.directory, cwd=tmp_path)
    assert (done.returncode, done.text) == (1, "")
    assert f"no build of this module below {built.directory}" in done.error_text


def test_signs_with_the_key_that_signs_modules_and_verifies(built: ProvedModule, tmp_path: Path) -> None:
    pair, other = write_pair(tmp_path, "rsa2048"), write_pair(tmp_path, "p384")
    done = call("provenance", built.ko, "--key", pair, "-o", "x.jsonl", "--builder-id", "https://ci.test", cwd=tmp_path)
    assert done.returncode == 0, done.error_text
    done = call("provenance", "--verify", "x.jsonl", "--cert", pair, built.ko, "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.error_text
    assert json.loads(done.text)["signer"] == "the rsa2048 key"
    done = call("provenance", "--verify", "x.jsonl", "--cert", other, built.ko, cwd=tmp_path)
    assert (done.returncode, done.text) == (1, "")
    assert "not signed by the p384 key" in done.error_text
    (tmp_path / "other.ko").write_bytes(built.ko.read_bytes().replace(b"license=GPL", b"license=GPX"))
    done = call("provenance", "--verify", "x.jsonl", "--cert", pair, "other.ko", cwd=tmp_path)
    assert (done.returncode, done.text) == (1, "")
    assert "no statement in x.jsonl is about this file" in done.error_text
    # (a manifest that a stranger changed)
    text = (tmp_path / "x.jsonl").read_text()
    value = json.loads(text)
    payload = base64.b64decode(value["payload"]).replace(b'"variables":{}', b'"variables":{"CC":"evil"}')
    value["payload"] = base64.b64encode(payload).decode()
    (tmp_path / "x.jsonl").write_text(json.dumps(value))
    argv = ("reproduce", built.ko, "--manifest", "x.jsonl", "--cert", pair)
    assert "not signed by" in call(*argv, cwd=tmp_path).error_text


def test_in_totos_verifier_accepts_the_envelope_and_its_models_the_statement(
    built: ProvedModule, tmp_path: Path
) -> None:
    metadata = pytest.importorskip("in_toto.models.metadata")
    signers = pytest.importorskip("securesystemslib.signer")
    attestation = pytest.importorskip("in_toto_attestation.v1.statement")
    statements = pytest.importorskip("in_toto_attestation.v1.statement_pb2")
    provenance = pytest.importorskip("in_toto_attestation.predicates.provenance.v1.provenance_pb2")
    protobuf = pytest.importorskip("google.protobuf.json_format")
    pair = write_pair(tmp_path, "p256")
    assert call("provenance", built.ko, "--key", pair, "-q", "-o", "x.json", cwd=tmp_path).returncode == 0
    key = signers.SSlibKey.from_crypto(load_certificate(pair).public_key())
    envelope = metadata.Metadata.from_dict(json.loads((tmp_path / "x.json").read_text()))
    envelope.verify_signature({**key.to_dict(), "keyid": key.keyid})
    value = json.loads(envelope.payload)
    attestation.Statement.copy_from_pb(protobuf.ParseDict(value, statements.Statement())).validate()
    # (the parser refuses fields that the predicate does not have)
    read = protobuf.ParseDict(value["predicate"], provenance.Provenance())
    assert read.build_definition.build_type == "urn:kbuildpy:build:kbuild-module:v1"


def test_the_model_of_spdx_accepts_the_sbom(built: ProvedModule, tmp_path: Path) -> None:
    spdx = pytest.importorskip("spdx_python_model")
    for name in ("one", "two"):
        assert call("sbom", built.ko, "-q", "-o", f"{name}.json", cwd=tmp_path).returncode == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    model, objects = spdx.load(tmp_path / "one.json")
    # (every element that another one names is there; writing them again checks what each must have)
    assert objects.link() == set()
    model.JSONLDSerializer().write(objects, io.BytesIO())
    [package] = [item for item in objects.foreach_type("software_Package") if item.name == "proved.ko"]
    assert package.software_primaryPurpose.endswith("/module")
    [licence] = [
        item.to[0]
        for item in objects.foreach_type("Relationship")
        if item.from_ is package and item.relationshipType.endswith("/hasDeclaredLicense")
    ]
    assert licence.simplelicensing_licenseExpression == "GPL-2.0-only"
    assert call("sbom", built.ko, "-q", "--split", "parts", cwd=tmp_path).returncode == 0
    parts = sorted((tmp_path / "parts").iterdir())
    assert len(parts) == 3
    every = {item.get("spdxId") for part in parts for item in json.loads(part.read_text())["@graph"]}
    importing = 0
    for part in parts:
        model, objects = spdx.load(part)
        imported = {
            item["externalSpdxId"]
            for element in json.loads(part.read_text())["@graph"]
            for item in element.get("import", [])
        }
        # (what a URI names needs no import to the model, and has one)
        assert objects.link() <= imported <= every
        model.JSONLDSerializer().write(objects, io.BytesIO())
        importing += bool(imported)
    assert importing == 2
    for damage in DAMAGES_OF_SPDX:
        value = json.loads((tmp_path / "one.json").read_text())
        damage(value["@graph"])
        (tmp_path / "bad.json").write_text(json.dumps(value))
        with pytest.raises((ValueError, TypeError, KeyError)):
            model.JSONLDSerializer().write(spdx.load(tmp_path / "bad.json")[1], io.BytesIO())


def _relationship(graph: list[dict[str, Any]]) -> dict[str, Any]:
    return next(item for item in graph if item["type"] == "Relationship")


DAMAGES_OF_SPDX: tuple[Callable[[list[dict[str, Any]]], object], ...] = (
    lambda graph: _relationship(graph).pop("relationshipType"),
    lambda graph: _relationship(graph).pop("creationInfo"),
    lambda graph: _relationship(graph).update(relationshipType="isLike"),
    lambda graph: _relationship(graph).update(relation="x"),
    lambda graph: _relationship(graph).update(type="Relation"),
    lambda graph: graph[0].update(created="yesterday"),
    lambda graph: graph[0].update(specVersion="three"),
    lambda graph: graph[0].pop("createdBy"),
)
"""What the shapes of SPDX 3.0.1 forbid, one each: spdx-python-model's classes are made of these shapes."""


@pytest.mark.sweep
def test_the_sbom_has_what_the_kernels_own_script_finds_in_a_build_by_make(tmp_path: Path) -> None:
    script = next(iter(sorted((Path.home() / ".cache/kbuildpy/sources").glob("*/scripts/sbom/sbom.py"))), None)
    if script is None:
        pytest.skip("no sources of a kernel with scripts/sbom (kbuildpy kernel build fetches them)")
    tree, place = usual_tree(), tmp_path / "drv"
    ours = proved(tree, place, TWO_SOURCES)
    assert call("sbom", ours.ko, "--split", tmp_path / "ours", "-q", cwd=tmp_path).returncode == 0
    by_kbuildpy = (place / "build").rename(tmp_path / "kept")
    assert make(tree, place, other_compiler(tree)).returncode == 0
    words: list[str | Path] = [sys.executable, script, "--src-tree", tree.source, "--obj-tree", tree.objects]
    words += [
        "--generate-spdx",
        "--roots",
        place / "proved.ko",
        "--write-output-on-error",
        "--output-directory",
        tmp_path,
    ]
    # (it tells of errors: a headers package lacks some of the kernel's own files)
    run(words, env={**os.environ, "SRCARCH": "x86"}, check=False)
    theirs = [_described(json.loads((tmp_path / f"sbom-{part}.spdx.json").read_text())) for part in PARTS]
    found = [_described(json.loads((tmp_path / f"ours/sbom-{part}.spdx.json").read_text())) for part in PARTS]
    for (files, kinds, relations), (own_files, own_kinds, own_relations) in zip(theirs, found, strict=True):
        assert kinds <= own_kinds
        assert relations <= own_relations
        assert len(own_files) > 0 or files == {}
    files, own_files = ({**one[0], **two[0], **three[0]} for one, two, three in (theirs, found))
    shared = {name: value for name, value in files.items() if value[0] and not name.endswith(".config")}
    assert len(shared) > 300
    own = {name.replace("$(src)", str(place)): value for name, value in own_files.items()}
    named = {os.path.normpath(os.path.join(place, name)): value for name, value in own.items()}  # noqa: PTH118
    for name, value in shared.items():
        absolute = os.path.normpath(os.path.join(tree.objects, name))  # noqa: PTH118
        known = own.get(f"$(srctree)/{name}") or own.get(f"$(objtree)/{name}") or named[absolute]
        assert known[0] == value[0], name
        assert known[1] == value[1] or value[1] in (None, "NOASSERTION"), name
    shutil.move(by_kbuildpy, place / "build")


PARTS = ("source", "build", "output")


def _described(document: dict[str, Any]) -> tuple[dict[str, tuple[str, str | None]], set[str], set[str]]:
    """The files of an SPDX document with digest and licence, the classes in it, and the kinds of relationships."""
    graph = document["@graph"]
    elements = {item.get("spdxId"): item for item in graph}
    relations = [item for item in graph if item["type"] == "Relationship"]
    licences = {
        item["from"]: elements[item["to"][0]]["simplelicensing_licenseExpression"]
        for item in relations
        if item["relationshipType"] == "hasDeclaredLicense"
    }
    files = {
        item["name"]: ((item.get("verifiedUsing") or [{}])[0].get("hashValue", ""), licences.get(item["spdxId"]))
        for item in graph
        if item["type"] == "software_File"
    }
    return files, {item["type"] for item in graph}, {item["relationshipType"] for item in relations}


@pytest.mark.parametrize("builder", ["--kbuildpy-only", "--make-only"])
@pytest.mark.sweep
def test_names_each_changed_source_header_makefile_flag_and_variable(copy: ProvedModule, builder: str) -> None:
    edit(copy.directory / "two.c", "* 3", "* 5")
    edit(copy.directory / "shared.h", "7", "8")
    edit(copy.directory / "Kbuild", "two.o\n", "two.o\nCFLAGS_two.o := -O1\n")
    status, found = copy.reproduce(builder, "KCFLAGS=-fno-inline")
    assert (status, found["equal"], found["recorded"]) == (1, False, True)
    assert {(item["kind"], item["name"]) for item in found["inputs"]} == {
        ("source", "$(src)/two.c"),
        ("header", "$(src)/shared.h"),
        ("makefile", "$(src)/Kbuild"),
        ("variable", "KCFLAGS"),
        ("flag", "one.o and 2 more"),
        ("flag", "two.o"),
    }
    assert {item["present"] for item in found["inputs"] if item["kind"] == "flag"} == {"-O1", "-fno-inline"}
    [verdict] = found["builders"]
    [text] = [item for item in verdict["differs"] if item["section"] == ".text"]
    assert {"one", "two"} <= {*text["symbols"]}
    (copy.directory / "two.c").unlink()
    edit(copy.directory / "shared.h", "8", "7")
    edit(copy.directory / "Kbuild", "CFLAGS_two.o := -O1\n", "")
    status, found = copy.reproduce(builder)
    assert (status, found["builders"][0]["error"] is not None) == (1, True)
    assert [(item["name"], item["present"]) for item in found["inputs"]] == [("$(src)/two.c", None)]


@pytest.mark.sweep
def test_names_another_compiler(built: ProvedModule, tmp_path: Path) -> None:
    """A program that calls the same compiler and says that it is another version; and another one, if there is one."""
    wrapper = tmp_path / "gcc-odd"
    real = statement(built.manifest)["predicate"]["buildDefinition"]["resolvedDependencies"]
    [name] = [item["name"] for item in real if item["annotations"].get("role") == "compiler"]
    wrapper.write_text(
        f'#!/bin/sh\ncase "$1" in --version) {name} --version | sed "s/^{name} (Debian [^)]*)/gcc-odd (Odd 1)/";;'
        f' *) exec {name} "$@";; esac\n'
    )
    wrapper.chmod(0o755)
    others = [str(wrapper), *[word for word in ("gcc-11", "clang-16") if shutil.which(word)][:1]]
    for other in others:
        status, found = built.reproduce("--kbuildpy-only", f"CC={other}")
        assert named(found, "compiler") == [other], found["inputs"]
        [told] = [item for item in found["inputs"] if item["kind"] == "compiler"]
        assert told["recorded"].startswith(f"{name} (")
        assert status == (0 if other == str(wrapper) else 1)
        if other == str(wrapper):
            assert told["present"].startswith("gcc-odd (Odd 1)")


@pytest.mark.sweep
def test_names_a_changed_kernel_header_and_configuration(tmp_path: Path) -> None:
    kdir = private_tree(usual_tree(), tmp_path / "tree")
    found = proved(usual_tree(), tmp_path / "drv", EDITABLE, kdir=kdir)
    header = kdir.parent / "source/include/pcmcia/device_id.h"
    autoconf = kdir / "include/generated/autoconf.h"
    autoconf.write_text(autoconf.read_text() + "#define CONFIG_FOR_NOTHING 1\n")
    status, answer = found.reproduce("-k", kdir, "--kbuildpy-only")
    assert (status, [item["name"] for item in answer["inputs"]]) == (0, ["$(objtree)/include/generated/autoconf.h"])
    header.write_text(header.read_text() + "#error changed\n")
    status, answer = found.reproduce("-k", kdir)
    assert {(item["kind"], item["name"]) for item in answer["inputs"]} == {
        ("kernel tree", "$(objtree)/include/generated/autoconf.h"),
        ("kernel header", "$(srctree)/include/pcmcia/device_id.h"),
    }
    assert status == 1
    assert all("#error changed" in item["error"] for item in answer["builders"])


RULES = {
    "Kbuild": "obj-m := proved.o\nccflags-y := -I$(obj)\n$(obj)/proved.o: $(obj)/made.h\n"
    "$(obj)/made.h: $(src)/make.sh\n\tsh $< >$@\n",
    "make.sh": "echo '#define MADE 42'\n",
    "proved.c": module('#include "made.h"\nint made = MADE;\n'),
}
"""A module with a header that a rule of its Kbuild file makes."""


@pytest.mark.sweep
def test_what_a_rule_of_the_kbuild_file_reads_is_an_input(tmp_path: Path) -> None:
    found = proved(usual_tree(), tmp_path / "drv", RULES)
    status, answer = found.reproduce()
    assert (status, answer["inputs"]) == (0, [])
    edit(found.directory / "make.sh", "42", "43")
    status, answer = found.reproduce("--make-only")
    assert (status, [(item["kind"], item["name"]) for item in answer["inputs"]]) == (1, [("other", "$(src)/make.sh")])


@pytest.mark.sweep
def test_a_directory_that_is_gone_is_shown_at_its_path(built: ProvedModule, tmp_path: Path) -> None:
    place = tmp_path / "a/b/drv"
    found = proved(usual_tree(), place, TWO_SOURCES)
    elsewhere = tmp_path / "moved"
    shutil.move(tmp_path / "a", elsewhere)
    ko = next((elsewhere / "b/drv/build").glob("*/*.ko"))
    manifest = elsewhere / "b/drv.intoto.json"
    moved = ProvedModule(found.tree, elsewhere / "b/drv", ko, manifest)
    status, answer = moved.reproduce("--source", elsewhere / "b/drv")
    assert (status, answer["at_path"], answer["inputs"]) == (0, True, []), answer
    assert not (tmp_path / "a").exists()


@pytest.mark.sweep
def test_where_namespaces_are_refused_the_path_is_named_and_a_mapped_one_is_no_matter(
    built: ProvedModule, tmp_path: Path
) -> None:
    words = ["reproduce", "--unverified", "--make-only", "--manifest"]
    argv = [*REFUSING, sys.executable, "-m", "kbuildpy"]
    done = run([*argv, *words, built.manifest, built.ko], check=False)
    if "unshare" in done.error_text and done.returncode not in (0, 1):
        pytest.skip(done.error_text)
    assert done.returncode == 1
    assert "could not be shown at the recorded path" in done.text
    place = tmp_path / "drv"
    flag = f"-ffile-prefix-map={place}=."
    mapped = proved(usual_tree(), place, TWO_SOURCES, f"KCFLAGS={flag}", f"KAFLAGS={flag}")
    words = ["reproduce", "--unverified", "--manifest"]
    done = run([*argv, *words, mapped.manifest, mapped.ko], check=False)
    assert done.returncode == 0, done.text


@pytest.mark.sweep
def test_two_builds_have_the_same_bytes_whoever_makes_them_and_how(tmp_path: Path) -> None:
    """Another user, umask, time, number of jobs, output directory: make and kbuildpy agree in all of them."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    tree = usual_tree()
    # (pytest's own directory is closed to other users)
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    place = top / "drv"
    write_sources(TWO_SOURCES, place)
    made: list[bytes] = []

    def built_by_make(*before: str, jobs: str) -> None:
        shutil.rmtree(place)
        write_sources(TWO_SOURCES, place)
        place.chmod(0o777)
        words = ["make", "-C", str(tree.objects), f"M={place}", jobs, *other_compiler(tree)]
        run([*before, *words, "modules"])
        made.append((place / "proved.ko").read_bytes())

    other = ["setpriv", "--reuid", "65534", "--clear-groups"]
    built_by_make(jobs="-j1")
    built_by_make(*other, jobs="-j4")
    built_by_make("sh", "-c", 'umask 077; exec "$@"', "sh", jobs="-j3")
    shutil.rmtree(place)
    write_sources(TWO_SOURCES, place)
    for number, words in enumerate((["-j1"], ["-j4"], ["-j2", "-o", str(tmp_path / "elsewhere")])):
        before = ["sh", "-c", f'umask {number}77; exec "$@"', "sh"]
        argv = [sys.executable, "-m", "kbuildpy", "build", str(place), "-k", str(tree.objects)]
        run([*before, *argv, *words, *other_compiler(tree)])
        [ko] = ((tmp_path / "elsewhere") if "-o" in words else place / "build").glob("*/*.ko")
        made.append(ko.read_bytes())
        shutil.rmtree(place / "build", ignore_errors=True)
    shutil.rmtree(top)
    assert len({*made}) == 1


@pytest.mark.sweep
def test_another_directory_gives_other_bytes_unless_it_is_mapped_away(tmp_path: Path) -> None:
    """As docs/proof.md says of make; kbuildpy does as make does."""
    tree = usual_tree()
    for option, expected in (("", 2), ("-ffile-prefix-map={0}=.", 1)):
        by_make, ours = [], []
        for name in ("one", "other/place"):
            place = tmp_path / f"{bool(option)}" / name
            write_sources(TWO_SOURCES, place)
            flags = option.format(place)
            words = [f"KCFLAGS={flags}", f"KAFLAGS={flags}", *other_compiler(tree)]
            assert make(tree, place, words).returncode == 0
            by_make.append((place / "proved.ko").read_bytes())
            assert kbuildpy("build", place, "-k", tree.objects, "-o", tmp_path / "out", *words).returncode == 0
            [ko] = (tmp_path / "out").glob("*/*.ko")
            ours.append(ko.read_bytes())
            shutil.rmtree(tmp_path / "out")
        assert by_make == ours
        assert len({*by_make}) == expected


CORPUS = [
    ("acpi-call-dkms", "", ()),
    ("bbswitch-dkms", "", ()),
    ("ddcci-dkms", "ddcci", ()),
    ("ddcci-dkms", "ddcci-backlight", ("KBUILD_EXTRA_SYMBOLS=@/ddcci/Module.symvers",)),
    ("nat-rtsp-dkms", "", ()),
    ("rapiddisk-dkms", "", ()),
    ("v4l2loopback-dkms", "", ()),
    ("vpoll-dkms", "", ()),
    ("dm-writeboost-dkms", "", ()),
    ("lime-forensics-dkms", "", ()),
]


@pytest.mark.sweep
@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.release)
@pytest.mark.parametrize(("package", "below", "variables"), CORPUS, ids=lambda value: str(value).replace("/", "-"))
def test_packaged_modules_are_proved_by_both(
    package: str, below: str, variables: tuple[str, ...], tree: KernelTree, tmp_path: Path
) -> None:
    sources = next((unpacked(package) / "usr/src").iterdir())
    place = tmp_path / sources.name
    shutil.copytree(sources, place, symlinks=True)
    rows = [row for row in CORPUS if row[0] == package]
    for _, folder, words in rows[: 1 + [row[1] for row in rows].index(below)]:
        given = [word.replace("@", str(place)) for word in words]
        done = kbuildpy("build", place / folder, "--no-dkms", "-k", tree.objects, *given, *other_compiler(tree))
    if done.returncode != 0:
        given = [word.replace("@", str(place)) for word in variables]
        assert make(tree, place / below, given).returncode != 0, done.error_text
        pytest.skip(f"make does not build it for {tree.release} either")
    kos = sorted((place / below / "build").glob("*/*.ko"))
    assert kos
    manifest = tmp_path / "proof.json"
    done = kbuildpy("provenance", *kos, "-o", manifest)
    assert done.returncode == 0, done.error_text
    for ko in kos:
        done = kbuildpy("reproduce", ko, "--manifest", manifest, "--unverified", "--format", "json")
        found = json.loads(done.text)
        assert (found["equal"], found["inputs"], found["recorded"]) == (True, [], True), found


@pytest.mark.sweep
@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.release)
def test_the_samples_are_proved_by_both_also_where_an_sconstruct_declares_them(
    tree: KernelTree, tmp_path: Path
) -> None:
    shutil.copytree(SAMPLES, tmp_path / "kbuild", symlinks=True)
    project = tmp_path / "scons"
    shutil.copytree(SAMPLES, project / "sample_modules", symlinks=True)
    shutil.copy(SAMPLES.parent / "SConstruct", project)
    words = other_compiler(tree)
    assert kbuildpy("build", tmp_path / "kbuild", "-k", tree.objects, *words).returncode == 0
    scons = Path(sys.executable).with_name("scons")
    run([scons, f"KDIR={tree.objects}", *words], cwd=project)
    kos = sorted((*(tmp_path / "kbuild/build").rglob("*.ko"), *(project / "build").rglob("*.ko")))
    manifest = tmp_path / "proof.jsonl"
    done = kbuildpy("provenance", *kos, "-o", manifest)
    assert done.returncode == 0, done.error_text
    assert len(kos) >= 14
    for ko in kos:
        argv = ("reproduce", ko, "--manifest", manifest, "--unverified", "--format", "json")
        found: dict[str, Any] = json.loads(kbuildpy(*argv).text)
        assert (found["equal"], found["inputs"]) == (True, []), found
