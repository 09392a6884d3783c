# SPDX-License-Identifier: GPL-2.0-only
"""Every build ends with the kernel's yes: what the kernel would refuse fails the build, and CHECK=0 lets it through.

That a kernel refuses such modules, with these lines, is what `tests/vm/` asks kernels themselves.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.kernel_trees import private_tree, trees, usual_tree
from tests.support.keys import write_pair
from tests.support.scons_project import HEAD, PAIR, SConsProject

pytestmark = pytest.mark.parity

GOOD = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n'
# modpost takes them, and no kernel does: two vermagics, of which the first counts; a section that is written and run.
REFUSED = {
    "magic": (f'{GOOD}MODULE_INFO(vermagic, "another");\n', "version magic 'another' should be"),
    "wx": (
        f'{GOOD}asm(".section .both,\\"awx\\",@progbits\\n.byte 1\\n.previous");\n',
        "section .both (index ",
    ),
}


def project_of(place: Path, sources: dict[str, str], sconstruct: str = "") -> SConsProject:
    """A project of modules that are declared, one for each source."""
    declared = "".join(f"env.KernelModule('{name}')\n" for name in sources)
    files = {f"{name}.c": text for name, text in sources.items()}
    return SConsProject(
        place / "project", usual_tree().objects, files | {"SConstruct": HEAD + (sconstruct or declared)}
    )


@pytest.mark.parametrize("name", REFUSED)
def test_a_module_that_the_kernel_would_refuse_fails_the_build(name: str, tmp_path: Path) -> None:
    source, line = REFUSED[name]
    project = project_of(tmp_path, {name: source})
    refused = project.scons(status=2)
    assert f"{name}.ko: refused with ENOEXEC by {usual_tree().release}" in refused.output
    assert f"kernel log: {name}: {line}" in refused.output
    assert not list(project.place.rglob("*.ko"))
    built = project.scons("CHECK=0")
    assert "LOADCHK" not in built.output
    assert len(list(project.place.rglob("*.ko"))) == 1
    # What was let through is looked at again as soon as it is asked for.
    assert "refused with ENOEXEC" in project.scons(status=2).output


def test_a_good_module_is_checked_once_and_stays_as_make_builds_it(tmp_path: Path) -> None:
    project = project_of(tmp_path, {"good": GOOD})
    assert "  LOADCHK good.ko\n" in project.build().output
    assert "LOADCHK" not in project.build().output
    checked = project.outputs()[f"build/{usual_tree().release}/good.ko"]
    project.build("CHECK=0")
    assert project.outputs()[f"build/{usual_tree().release}/good.ko"] == checked


def test_modules_of_a_group_count_as_loaded_for_each_other(tmp_path: Path) -> None:
    project = SConsProject(tmp_path / "project", usual_tree().objects, PAIR)
    assert "  LOADCHK user.ko\n" in project.build().output


def test_a_proprietary_module_gives_nothing_to_one_that_uses_what_is_for_gpl_modules(tmp_path: Path) -> None:
    closed = (
        '#include <linux/module.h>\nMODULE_LICENSE("Proprietary");\n'
        "int closed_value(void);\nint closed_value(void) { return 1; }\nEXPORT_SYMBOL(closed_value);\n"
    )
    user = (
        f'{GOOD}int closed_value(void);\nstatic int __init start(void) {{ pr_info("%d", closed_value()); return 0; }}\n'
    )
    user += "module_init(start);\n"
    gpl_only = user.replace("#include", "#include <linux/ktime.h>\n#include").replace(
        "0; }", "ktime_get_seconds() & 1; }"
    )
    sources = {"closed": closed, "user": user, "gpl": gpl_only}
    project = project_of(tmp_path, sources)
    refused = project.scons("-k", status=2)
    # Which of both the kernel finds first decides the line.
    assert "gpl.ko: refused with ENOENT" in refused.output
    assert {path.name for path in project.place.rglob("*.ko")} == {"closed.ko", "user.ko"}


def test_what_make_only_warns_of_is_no_reason_to_fail(tmp_path: Path) -> None:
    start = "static int __init start(void) { elsewhere(); return 0; }\nmodule_init(start);\n"
    source = f"{GOOD}void elsewhere(void);\n{start}"
    project = project_of(tmp_path, {"user": source})
    built = project.scons("KBUILD_MODPOST_WARN=1")
    assert '"elsewhere" [user.ko] undefined!' in built.output.replace(str(project.place) + "/", "")
    assert list(project.place.rglob("user.ko"))
    # That make goes on does not make the module loadable.
    [line] = [line for line in built.output.splitlines() if "would refuse it" in line]
    assert line.startswith(f"kbuildpy: warning: user.ko: {usual_tree().release} would refuse it: ")
    assert "elsewhere" in line


def test_a_verdict_is_a_file_of_its_own(tmp_path: Path) -> None:
    declared = "ko = env.KernelModule('good')\nenv.CheckModule(ko, params='unknown=1')\n"
    project = project_of(tmp_path, {"good": GOOD}, declared)
    assert "  LOADCHK good.ko\n" in project.build().output
    verdict = json.loads((project.place / "build" / usual_tree().release / "good.ko.check").read_text())
    assert verdict["accepted"] is True
    assert verdict["kernel"] == usual_tree().release
    assert project.build().did == []


def test_a_verdict_is_of_the_kernel_that_is_named(tmp_path: Path) -> None:
    declared = [f"env.CheckModule(ko, KDIR='{tree.objects}')\n" for tree in trees()]
    project = project_of(tmp_path, {"good": GOOD}, "".join(["ko = env.KernelModule('good')\n", *declared]))
    project.scons("-k", status=0 if len(declared) == 1 else 2)
    out = project.place / "build" / usual_tree().release
    for tree in trees():
        (file,) = out.glob(f"good.ko.{tree.release}.check*")
        verdict = json.loads(file.read_text())
        assert (verdict["kernel"], verdict["accepted"]) == (tree.release, tree.release == usual_tree().release)


def test_a_refusal_is_a_file_too_until_the_module_is_good(tmp_path: Path) -> None:
    declared = "ko = env.KernelModule('good')\nenv.CheckModule(ko, blacklist='good')\n"
    project = project_of(tmp_path, {"good": GOOD}, declared)
    good = project.place / "build" / usual_tree().release / "good.ko.check"
    failed = good.with_name("good.ko.check-failed")
    for _ in range(2):
        assert f"the verdict is in {failed}\n" in project.scons(status=2).output
        verdict = json.loads(failed.read_text())
        assert (verdict["accepted"], verdict["errno"]) == (False, "EPERM")
        assert not good.exists()
    project.edit("SConstruct", "blacklist='good'", "blacklist='bad'")
    project.build()
    assert good.exists() and not failed.exists()
    project.edit("SConstruct", "blacklist='bad'", "blacklist='good'")
    project.scons(status=2)
    assert failed.exists() and not good.exists()
    project.scons("-c")
    assert not failed.exists()


def test_a_verdict_is_asked_for_again_when_the_kernels_image_changed(tmp_path: Path) -> None:
    objects = private_tree(usual_tree(), tmp_path / "tree")
    declared = f"{HEAD}ko = env.KernelModule('good')\nenv.CheckModule(ko)\n"
    project = SConsProject(tmp_path / "project", objects, {"SConstruct": declared, "good.c": GOOD})
    project.build()
    assert "LOADCHK" not in project.build().output
    image = objects / "arch/x86/boot/bzImage"
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(b"another kernel's keys")
    assert "  LOADCHK good.ko\n" in project.build().output


def test_an_unsigned_module_is_refused_where_signatures_are_enforced(tmp_path: Path) -> None:
    declared = "ko = env.KernelModule('good')\nenv.CheckModule(ko, sig_enforce=True)\n"
    project = project_of(tmp_path, {"good": GOOD}, declared)
    refused = project.scons(status=2)
    assert "kernel log: Loading of unsigned module is rejected" in refused.output
    assert [path.name for path in project.place.rglob("*.check*")] == ["good.ko.check-failed"]
    # The module itself is good; only the wish is not fulfilled.
    assert list(project.place.rglob("good.ko"))


def test_a_verdict_with_parameters_by_module_is_of_each_modules_own(tmp_path: Path) -> None:
    counted = f"{GOOD}static int count;\nmodule_param(count, int, 0);\n"
    declared = (
        "kos = [env.KernelModule(name) for name in ('counted', 'other-one')]\n"
        "env.CheckModule(kos, params={'counted': 'count=3', 'other_one': 'count=3'})\n"
    )
    project = project_of(tmp_path, {"counted": counted, "other-one": counted}, declared)
    project.build()
    project.edit("SConstruct", "'other_one': 'count=3'", "'other_one': 'count=many'")
    refused = project.scons(status=2)
    assert "other-one.ko: refused with EINVAL" in refused.output
    assert "counted.ko: refused" not in refused.output


def test_a_misspelt_wish_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    declared = "ko = env.KernelModule('good')\nenv.CheckModule(ko, sig_enfore=True)\n"
    project = project_of(tmp_path, {"good": GOOD}, declared)
    refused = project.scons(status=2)
    said = "kbuildpy: SConstruct:6: CheckModule: there is no keyword sig_enfore; did you mean sig_enforce?\n"
    assert said in refused.output
    assert not list(project.place.rglob("*.check"))


def test_a_signature_is_judged_with_the_certificates_that_are_enrolled(tmp_path: Path) -> None:
    declared = (
        "ko = env.SignModule(env.KernelModule('good'), key='rsa2048.pem')\n"
        "copy = env.Command('copy.pem', 'rsa2048.pem', Copy('$TARGET', '$SOURCE'))\n"
        "env.Default(env.CheckModule(ko, sig_enforce=True, cert=['rsa4096.pem', copy]))\n"
    )
    project = project_of(tmp_path, {"good": GOOD}, declared)
    for kind in ("rsa2048", "rsa4096"):
        write_pair(project.place, kind)
    verdict = project.place / "build" / usual_tree().release / "signed/good.ko.check"
    project.build()
    assert not [line for line in json.loads(verdict.read_text())["unchecked"] if "signature" in line]
    assert project.build().did == []
    # One more makes no difference, and is asked all the same.
    write_pair(project.place, "rsa4096")
    assert "  LOADCHK good.ko\n" in project.build().output
    # Without the signer's own nobody but the kernel's own could vouch, and those are not known everywhere.
    project.edit("SConstruct", "cert=['rsa4096.pem', copy]", "cert='rsa4096.pem'")
    process = project.start()
    output, _ = process.communicate(timeout=300)
    if process.returncode == 0:
        assert [line for line in json.loads(verdict.read_text())["unchecked"] if "signature" in line]
    else:
        assert "kernel log: Loading of module with unavailable key is rejected" in output


@pytest.mark.parametrize(
    ("wish", "log"),
    [
        ("lockdown=True", "Lockdown: <comm>: unsigned module loading is restricted; see man kernel_lockdown.7"),
        ("blacklist='other,good'", "Module good is blacklisted"),
        ("blacklist=['other', 'good']", "Module good is blacklisted"),
    ],
)
def test_a_kernel_is_taken_to_be_started_as_it_is_said(wish: str, log: str, tmp_path: Path) -> None:
    declared = f"ko = env.KernelModule('good')\nenv.CheckModule(ko, {wish})\n"
    assert f"kernel log: {log}\n" in project_of(tmp_path, {"good": GOOD}, declared).scons(status=2).output


def test_two_verdicts_on_a_module_would_be_one_file(tmp_path: Path) -> None:
    declared = "ko = env.KernelModule('good')\nenv.CheckModule(ko)\nenv.CheckModule(ko, lockdown=True)\n"
    refused = project_of(tmp_path, {"good": GOOD}, declared).scons(status=2)
    assert "good.ko.check: two declarations would make this file\n" in refused.output
    assert "a module in one CheckModule()" in refused.output


def test_a_directory_is_checked_too(tmp_path: Path) -> None:
    source, line = REFUSED["magic"]
    (tmp_path / "drv").mkdir()
    (tmp_path / "drv/magic.c").write_text(source)
    (tmp_path / "drv/Kbuild").write_text("obj-m := magic.o\n")
    done = kbuildpy("build", tmp_path / "drv", "-k", usual_tree().objects, cwd=tmp_path)
    assert done.returncode == 1
    assert line in done.text + done.error_text
