# SPDX-License-Identifier: GPL-2.0-only
"""Scripts, and the list of modules where a real kernel takes too long to get there."""

from __future__ import annotations

import argparse
from dataclasses import replace
from os import O_TRUNC
from pathlib import Path

import pytest

from kbuildpy.cli.check_script import check_script
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.depmod_indexes import Softdeps
from kbuildpy.kernel.own_modules import Meaning, OwnModules
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.procfs import lsmod, proc_modules
from kbuildpy.loader.lifecycle.script import read_script, run_script
from kbuildpy.loader.lifecycle.step import ScriptStep, as_text
from kbuildpy.loader.lifecycle.unload import delete_module, module_put, try_module_get
from kbuildpy.loader.loaded import Loaded, Modules
from kbuildpy.loader.reports.describe import as_text as verdict_text
from kbuildpy.loader.verdict import Verdict
from tests.support.documents import json_keys

OWN = dict.fromkeys(("top", "middle", "base", "bad", "likes", "before", "after"), b"a module")
NEEDS = {"top": ("base", "middle"), "middle": ("base",), "bad": ("base",)}
ALIASES = {"fs-all": ("bad", "top"), "hash": ("before",), "net-pf-10": ("ipv6",)}
SOFTDEPS = {"likes": Softdeps(("hash", "bad"), ("after", "none"))}


class Known(OwnModules):
    """Modules that no file has to be there for; ipv6 is built in."""

    def contents(self, name: str) -> bytes | None:
        return OWN.get(name)

    def needs(self, name: str) -> tuple[str, ...]:
        return NEEDS.get(name, ())

    def meaning(self, name: str) -> Meaning:
        names = (name,) if name in (*OWN, "ipv6") else ALIASES.get(name, ())
        return Meaning(names, built_in="ipv6" in names)

    def softdeps(self, name: str) -> Softdeps:
        return SOFTDEPS.get(name, Softdeps())


KERNEL = LoaderKernel(
    "6.12",
    (6, 12),
    "x86_64",
    config={"CONFIG_MODULE_UNLOAD": "y"},
    own_modules=Known(Path()),
)
FORCING = replace(KERNEL, config={"CONFIG_MODULE_UNLOAD": "y", "CONFIG_MODULE_FORCE_UNLOAD": "y"})


def load(contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, file: str) -> tuple[Verdict, Modules]:
    """A loader that takes everything that is not called bad, and says with which parameters."""
    name = Path(file).stem
    verdict = Verdict(file, kernel.release, name, name != "bad", taints="O", lines=(f"{name}({args})",))
    if name == "bad":
        return replace(verdict, errno="ENOEXEC", reason="it is bad"), modules
    uses = {"top": ("middle", "base"), "middle": ("base",)}.get(name, ())
    return verdict, Modules((Loaded(name, uses=uses, size=4096, taints="O"), *modules.loaded))


def go(text: str, tmp_path: Path, kernel: LoaderKernel = KERNEL) -> list[ScriptStep]:
    return list(run_script(text, kernel, tmp_path, load=load))


def test_modprobe_loads_what_is_needed_first_and_nothing_twice(tmp_path: Path) -> None:
    first, again, listed = go("modprobe top a=1 'b=2 3' c='4 5'\nmodprobe top x\nlsmod", tmp_path)
    assert first.done
    assert first.lines == ("base()", "middle()", 'top(a=1 b="2 3" c="4 5")')
    assert (again.done, again.verdicts) == (True, ())
    assert listed.output == (
        "Module                  Size  Used by",
        "top                     4096  0",
        "middle                  4096  1 top",
        "base                    4096  2 top,middle",
    )


def test_modprobe_removes_what_nobody_needs_any_more(tmp_path: Path) -> None:
    steps = go("modprobe top\nopen base\nmodprobe -r top\nmodprobe -r base\nclose base\nrmmod base", tmp_path)
    assert [module.name for module in steps[2].modules.loaded] == ["base"]
    assert [step.errno for step in steps] == [None, None, None, "EWOULDBLOCK", None, None]


def test_modprobe_of_a_module_that_is_not_there_or_of_an_unknown_kernel(tmp_path: Path) -> None:
    assert go("modprobe none", tmp_path)[0].errno == "ENOENT"
    for step in go("modprobe top\nmodprobe -r top", tmp_path, replace(KERNEL, own_modules=None)):
        assert (step.done, step.errno, step.reason) == (False, None, "the modules of kernel 6.12 are not known")


def test_modprobe_takes_aliases_and_goes_on_after_one_that_fails(tmp_path: Path) -> None:
    loaded, removed = go("modprobe fs-all x\nmodprobe -r fs-all", tmp_path)
    assert loaded.done
    assert loaded.lines == ("base()", "bad(x)", "middle()", "top(x)")
    assert (removed.done, removed.modules.loaded) == (True, ())


def test_modprobe_has_nothing_to_do_for_what_is_built_in_and_cannot_remove_it(tmp_path: Path) -> None:
    by_name, by_alias, removal = go("modprobe ipv6\nmodprobe net-pf-10\nmodprobe -r ipv6", tmp_path)
    assert by_name.done and by_alias.done and not by_alias.modules.loaded
    assert (removal.errno, removal.reason) == ("ENOENT", "ipv6 is built into kernel 6.12")


def test_modprobe_finds_no_file_of_ones_own_even_when_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "widget.ko").write_bytes(b"x")
    steps = go("modprobe widget\ninsmod widget.ko\nmodprobe widget\nmodprobe -r widget", tmp_path)
    assert [step.errno for step in steps] == ["ENOENT", None, "ENOENT", "ENOENT"]
    assert steps[0].reason == "kernel 6.12 has no module widget"
    assert steps[2].reason == f"{steps[0].reason}: one is loaded, but modprobe finds only the kernel's own modules"


def test_modprobe_loads_soft_dependencies_and_does_not_mind_that_one_is_refused(tmp_path: Path) -> None:
    loaded, removed = go("modprobe likes a=1\nmodprobe -r likes", tmp_path)
    assert loaded.done
    assert loaded.lines == ("before()", "base()", "bad()", "likes(a=1)", "after()")
    assert "to do" not in as_text(loaded)
    assert [module.name for module in removed.modules.loaded] == ["base"]


def test_modprobe_does_not_go_on_after_a_soft_dependency_that_may_crash_the_kernel(tmp_path: Path) -> None:
    def crash(contents: bytes, kernel: LoaderKernel, modules: Modules, args: str, file: str) -> tuple[Verdict, Modules]:
        verdict, after = load(contents, kernel, modules, args, file)
        return (
            (replace(verdict, accepted=False, reason="it crashes"), modules) if file == "before" else (verdict, after)
        )

    (step,) = run_script("modprobe likes", KERNEL, tmp_path, load=crash)
    assert as_text(step).startswith("modprobe likes: the result is undefined\n")
    assert step.modules.loaded == ()


def test_the_documents_explain_each_key_of_a_step(tmp_path: Path) -> None:
    (step,) = go("lsmod", tmp_path)
    assert step.to_json().keys() | {"kernel"} == json_keys("kbuildpy check --script")


def test_modprobe_does_not_mind_the_removal_of_what_is_not_loaded(tmp_path: Path) -> None:
    assert go("modprobe -r top", tmp_path)[0].done


def test_rmmod_of_several_goes_on_and_says_of_each_why_not(tmp_path: Path) -> None:
    step = go("modprobe top\nmodprobe bad\nrmmod base none top\nlsmod", tmp_path)[2]
    assert [module.name for module in step.modules.loaded] == ["middle", "base"]
    assert (step.errno, step.reason) == ("EWOULDBLOCK", "base is used by top, middle; none is not loaded")


def test_a_step_that_fails_does_not_stop_the_script(tmp_path: Path) -> None:
    (tmp_path / "base.ko").write_bytes(b"x")
    steps = go("insmod none.ko\nmodprobe bad\ninsmod base.ko 'a b'  c # d\nrmmod -f x-y base.ko", tmp_path)
    assert [step.errno for step in steps] == ["ENOENT", "ENOEXEC", None, "ENOENT"]
    assert steps[2].lines == ("base(a b c)",)
    assert steps[3].modules.loaded == ()
    assert steps[3].reason == "x_y is not loaded"
    assert as_text(steps[1]) == (
        "modprobe bad: refused with ENOEXEC (Exec format error)\n"
        "  kernel log    base()\n"
        "  kernel log    bad()\n"
        "  because       it is bad"
    )


def test_the_kernel_remembers_its_taints(tmp_path: Path) -> None:
    (tmp_path / "base.ko").write_bytes(b"x")
    steps = go("insmod base.ko\nopen base\nrmmod -f base\ninsmod base.ko\nopen base\nrmmod -f base", tmp_path, FORCING)
    assert [step.kernel.tainted for step in steps] == ["O", "O", "RO", "RO", "RO", "RO"]
    assert steps[2].lines == ("Disabling lock debugging due to kernel taint",)
    assert steps[5].lines == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lsmod\nmodinfo x", "line 2: modinfo: not a command"),
        ("insmod", "line 1: insmod: not understood"),
        ("insmod -f x.ko", "not understood"),
        ("rmmod --wait x", "not understood"),
        ("rmmod -f", "not understood"),
        ("modprobe -r", "not understood"),
        ("modprobe x &", "line 1: modprobe x &: not understood"),
        ("modprobe x a=1 &", "not understood"),
        ("modprobe -r &", "not understood"),
        ("cat /etc/passwd", "not understood"),
        ("open", "not understood"),
        ("insmod 'x.ko", "line 1: No closing quotation"),
    ],
)
def test_a_script_that_cannot_be_read_is_refused_whole(text: str, complaint: str) -> None:
    with pytest.raises(KbuildError, match=complaint):
        read_script(text)


def test_a_file_that_cannot_be_read_is_refused_with_its_errno(tmp_path: Path) -> None:
    (tmp_path / "cut.ko.xz").write_bytes(b"\xfd7zXZ\0\0\4")
    directory, cut = go(f"insmod {tmp_path}\ninsmod cut.ko.xz", tmp_path)
    assert as_text(directory).splitlines()[0] == f"insmod {tmp_path}: refused with EISDIR (Is a directory)"
    assert as_text(cut).splitlines()[0] == "insmod cut.ko.xz: not done"
    assert (cut.errno, cut.reason and "cut.ko.xz" in cut.reason) == (None, True)


def test_a_module_of_the_kernel_that_cannot_be_read_fails_its_step_only(tmp_path: Path) -> None:
    class Unreadable(Known):
        def contents(self, name: str) -> bytes:
            raise KbuildError(f"{name}.ko.xz: cut off")

    steps = go("modprobe top\nlsmod", tmp_path, replace(KERNEL, own_modules=Unreadable(Path())))
    assert [(step.done, step.reason) for step in steps] == [(False, "base.ko.xz: cut off"), (True, None)]


def test_an_errno_that_python_does_not_know_has_its_words(tmp_path: Path) -> None:
    verdict = Verdict("m.ko", "6.12", "m", accepted=False, errno="ENOTSUPP", reason="its .BTF is of the future")
    (listed,) = go("lsmod", tmp_path)
    words = "refused with ENOTSUPP (operation is not supported)"
    assert as_text(replace(listed, errno="ENOTSUPP", reason="it is")).startswith(f"lsmod: {words}")
    assert verdict_text(verdict).startswith(f"m.ko: {words} by 6.12\n")


def test_comments_may_hold_quotes() -> None:
    assert [command.words for command in read_script("# don't\n\nlsmod # don't\ninsmod a.ko b=#c")] == [
        ["lsmod"],
        ["insmod", "a.ko", "b=#c"],
    ]


def test_a_module_that_comes_or_goes_is_busy() -> None:
    for state, shown in (("COMING", "1 - Loading"), ("GOING", "-1 - Unloading")):
        modules = Modules((Loaded("m", state=state, taints="OE"),))
        mark = "+" if state == "COMING" else "-"
        assert proc_modules(modules, KERNEL) == [f"m 0 {shown} 0x0000000000000000 (OE{mark})"]
        assert delete_module(modules, "m", KERNEL, flags=O_TRUNC).errno == "EBUSY"
    assert try_module_get(modules, "m") is None


def test_a_module_that_is_not_formed_is_not_there() -> None:
    modules = Modules((Loaded("m", state="UNFORMED"),))
    assert (proc_modules(modules, KERNEL), lsmod(modules)[1:]) == ([], [])
    assert delete_module(modules, "m", KERNEL).errno == "ENOENT"


def test_a_kernel_without_forced_unloading_does_not_force() -> None:
    modules = Modules((Loaded("permanent", has_exit=False), Loaded("held", references=1)))
    for name, errno in (("permanent", "EBUSY"), ("held", "EWOULDBLOCK")):
        assert delete_module(modules, name, KERNEL, flags=O_TRUNC).errno == errno
        assert delete_module(modules, name, FORCING, flags=O_TRUNC).errno is None


def test_a_kernel_without_unloading_does_not_count() -> None:
    kernel = replace(KERNEL, config={})
    modules = Modules((Loaded("m"),))
    assert delete_module(modules, "m", kernel).errno == "ENOSYS"
    assert proc_modules(modules, kernel) == ["m 0 - - Live 0x0000000000000000"]


def test_a_reference_that_was_not_taken_cannot_be_given_back() -> None:
    modules = Modules((Loaded("m"),))
    held = try_module_get(modules, "m")
    assert held is not None
    assert module_put(held, "m") == modules
    assert module_put(modules, "m") is None


def test_a_script_that_cannot_be_read_is_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "script"
    script.write_text("lsmod\nbogus\n")
    args = argparse.Namespace(script=script, files=[], params=[], format="text", quiet=False)
    with pytest.raises(UsageError, match="script: line 2: bogus: not a command"):
        check_script(args, [KERNEL])
    script.write_text("lsmod\nrmmod x\n")
    assert check_script(args, [KERNEL]) == 1
    assert "rmmod x: refused with ENOENT" in capsys.readouterr().out
    script.write_text("lsmod\n")
    assert check_script(args, [KERNEL]) == 0
