# SPDX-License-Identifier: GPL-2.0-only
"""Which kernels a command line and an environment mean, and why: every command asks the same resolver."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from kbuildpy import cli
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.fetched import fetched_root
from kbuildpy.kernel.packages import headers_hint, release_hint
from kbuildpy.kernel.resolve import resolve, resolve_one, resolve_release
from kbuildpy.kernel.tree import KernelTree
from tests.support.elf_objects import elf_object
from tests.support.fake_trees import fake_tree

TREE, IMAGE, EITHER = Need.TREE, Need.IMAGE, Need.EITHER
OLD, NEW, BARE = "6.1.0-1-amd64", "6.12.0-1-amd64", "6.5.0-1-amd64"
INSTALLED = f"installed: {NEW}, {OLD}, {BARE} (no headers)"


@pytest.fixture(autouse=True)
def on_a_64_bit_pc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kbuildpy.kernel.resolve.is_native", lambda found: str(found) == "x86_64")
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))


def install(root: Path, release: str, *, config: str = "CONFIG_X86=y\nCONFIG_64BIT=y\n") -> Path:
    """A headers package: the tree below /usr/src, and the link to it that the loader's directory has."""
    objects = fake_tree(root / "usr/src" / f"linux-headers-{release}", release, config=config)
    modules = root / "lib/modules" / release
    modules.mkdir(parents=True, exist_ok=True)
    (modules / "build").symlink_to(objects)
    return objects


def install_image(root: Path, release: str, *, modules: bool = True) -> Path:
    """A kernel's package: the image, and the directory of its modules."""
    image = root / "boot" / f"vmlinuz-{release}"
    image.parent.mkdir(exist_ok=True)
    image.write_bytes(b"an image")
    if modules:
        (root / "lib/modules" / release / "kernel").mkdir(parents=True)
    return image


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system with headers and image of 6.1, headers of 6.12, an image of 6.5 with its modules, and one of 5.10
    without; a source tree `linux` and an image `vmlinuz` are in the working directory, and a file called as 6.1."""
    root = tmp_path / "system"
    install(root, OLD)
    install_image(root, OLD)
    install(root, NEW)
    install_image(root, BARE)
    install_image(root, "5.10", modules=False)
    here = tmp_path / "here"
    here.mkdir()
    fake_tree(here / "linux", "7.0.0")
    (here / "vmlinuz").write_bytes(b"an image")
    (here / OLD).touch()
    monkeypatch.chdir(here)
    return root


def shown(kernel: ChosenKernel) -> tuple[str, ...]:
    """The release, and the parts that were chosen, by their names."""
    tree = (f"tree {kernel.tree.objects.name.removeprefix('linux-headers-')}",) if kernel.tree else ()
    image = (f"image {kernel.image.name.removeprefix('vmlinuz-')}",) if kernel.image else ()
    return (str(kernel.release), *tree, *image)


OLD_TREE, NEW_TREE = (OLD, f"tree {OLD}"), (NEW, f"tree {NEW}")
OLD_IMAGE, BARE_IMAGE = (OLD, f"image {OLD}"), (BARE, f"image {BARE}")
GIVEN, PATH, ALL = "Its release was given.", "Its path was given.", "All installed kernels are wanted."


@pytest.mark.parametrize(
    ("words", "need", "found", "reason"),
    [
        ([OLD], TREE, [OLD_TREE], GIVEN),
        ([OLD], IMAGE, [OLD_IMAGE], GIVEN),
        ([OLD], EITHER, [OLD_TREE], GIVEN),
        ([BARE], IMAGE, [BARE_IMAGE], GIVEN),
        ([BARE], EITHER, [BARE_IMAGE], f"It is installed (ROOT/boot/vmlinuz-{BARE}); there are no headers of it."),
        (["5.10"], IMAGE, [("5.10", "image 5.10")], GIVEN),
        (["linux"], TREE, [("7.0.0", "tree linux")], PATH),
        (["./linux"], EITHER, [("7.0.0", "tree linux")], PATH),
        (["vmlinuz"], IMAGE, [("None", "image vmlinuz")], PATH),
        (["./vmlinuz"], EITHER, [("None", "image vmlinuz")], PATH),
        (["vmlinuz", "./vmlinuz", "../here/vmlinuz"], IMAGE, [("None", "image vmlinuz")], PATH),
        (["running"], TREE, [OLD_TREE], f"It is the running kernel's ({OLD})."),
        (["running"], IMAGE, [OLD_IMAGE], f"It is the running kernel's ({OLD})."),
        (["all"], TREE, [OLD_TREE, NEW_TREE], ALL),
        (["all"], EITHER, [OLD_TREE, NEW_TREE, BARE_IMAGE], ALL),
        (["6.1.0-*"], TREE, [OLD_TREE], "Its release matches 6.1.0-*."),
        (["6.*-amd64"], TREE, [OLD_TREE, NEW_TREE], "Its release matches 6.*-amd64."),
        (["6.*"], EITHER, [OLD_TREE, NEW_TREE, BARE_IMAGE], "Its release matches 6.*."),
        (["6.[15].*"], IMAGE, [(*OLD_TREE, f"image {OLD}"), BARE_IMAGE], "Its release matches 6.[15].*."),
        ([NEW, "6.1?.*", "all"], TREE, [NEW_TREE, OLD_TREE], GIVEN),
    ],
)
def test_words_mean_kernels(
    words: list[str], need: Need, found: list[tuple[str, ...]], reason: str, system: Path
) -> None:
    running = OLD if "running" in words else "none"
    kernels = resolve(words, need, environ={"KDIR": "/nowhere"}, root=system, running=running)
    assert [shown(kernel) for kernel in kernels] == found
    assert kernels[0].reason == reason.replace("ROOT", str(system))


def everywhere(text: str, words: list[str]) -> list[tuple[list[str], Need, str]]:
    return [(words, need, text) for need in Need]


@pytest.mark.parametrize(
    ("words", "need", "error"),
    [
        *everywhere("-k: an empty name", [""]),
        *everywhere(".: not a kernel tree", ["."]),
        *everywhere("..: not a kernel tree", [".."]),
        *everywhere("/nowhere: no such file or directory", ["/nowhere"]),
        *everywhere("-k own: the kernel that a module was built for", ["own"]),
        *everywhere(f"no kernel 6.2 is installed, neither headers nor image; {INSTALLED}", ["6.2"]),
        *everywhere(f"no kernel nonsense is installed, neither headers nor image; {INSTALLED}", ["nonsense"]),
        *everywhere(
            f"no kernel none (the running one) is installed, neither headers nor image; {INSTALLED}", ["running"]
        ),
        *everywhere(f"-k 6.2.*: no installed kernel matches; {INSTALLED}", ["6.2.*"]),
        (["./vmlinuz"], TREE, "vmlinuz: not a directory"),
        ([BARE], TREE, f"the image of kernel {BARE} is installed (ROOT/boot/vmlinuz-{BARE}), but its headers are not"),
        ([f"{BARE}*"], TREE, f"-k {BARE}*: no installed kernel matches; {INSTALLED}"),
        (["5.10"], EITHER, "5.10 is installed (ROOT/boot/vmlinuz-5.10), but neither its headers nor its modules are"),
        ([NEW], IMAGE, f"no image of kernel {NEW} is installed, only its headers (ROOT/usr/src/linux-headers-{NEW})"),
    ],
)
def test_a_word_that_means_no_kernel_is_a_wrong_call(words: list[str], need: Need, error: str, system: Path) -> None:
    with pytest.raises(UsageError) as refused:
        resolve(words, need, root=system, running="none")
    assert error.replace("ROOT", str(system)) in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("words", [["all"], [f"system/usr/src/linux-headers-{NEW}"], ["6.12*"]])
def test_an_image_that_is_missing_is_no_wrong_call_where_no_release_was_given(words: list[str], system: Path) -> None:
    words = [str(system.parent / word) if "/" in word else word for word in words]
    with pytest.raises(KbuildError, match=f"no image of kernel {NEW} is installed, only its headers") as missing:
        resolve(words, IMAGE, root=system)
    assert missing.value.status == 1


KDIR, KERNELRELEASE = "KDIR", "KERNELRELEASE"


@pytest.mark.parametrize(
    ("words", "variables", "environ", "release", "reason"),
    [
        ([NEW], {}, {KDIR: "/nowhere", KERNELRELEASE: "6.2"}, NEW, GIVEN),
        ([], {KDIR: "linux"}, {KDIR: "/nowhere"}, "7.0.0", "KDIR names linux."),
        ([], {KERNELRELEASE: NEW}, {KDIR: "linux"}, NEW, f"KERNELRELEASE names {NEW}."),
        ([], {"V": "1", KDIR: ""}, {KDIR: "linux", KERNELRELEASE: NEW}, "7.0.0", "KDIR names linux."),
        ([], {}, {KERNELRELEASE: NEW}, NEW, f"KERNELRELEASE names {NEW}."),
        ([], {}, {KDIR: "", KERNELRELEASE: ""}, OLD, f"It is the running kernel's ({OLD})."),
    ],
)
@pytest.mark.parametrize("need", [TREE, EITHER])
def test_the_command_line_comes_before_the_environment_and_that_before_the_running_kernel(
    need: Need,
    words: list[str],
    variables: dict[str, str],
    environ: dict[str, str],
    release: str,
    reason: str,
    system: Path,
) -> None:
    [kernel] = resolve(words, need, variables=variables, environ=environ, root=system, running=OLD)
    assert (kernel.release, kernel.reason) == (release, reason)
    assert kernel.by_kdir == (release == "7.0.0")


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        ([], {KDIR: OLD, KERNELRELEASE: NEW}),
        ([NEW], {KDIR: OLD}),
        (["all"], {KDIR: OLD}),
        ([NEW], {KERNELRELEASE: OLD}),
        (["all"], {KERNELRELEASE: OLD}),
        (["6.1*"], {KERNELRELEASE: OLD}),
    ],
)
def test_a_command_line_that_names_two_kernels_is_refused(
    words: list[str], variables: dict[str, str], system: Path
) -> None:
    if KDIR in variables:
        variables = variables | {KDIR: str(system / "lib/modules" / variables[KDIR] / "build")}
    with pytest.raises(UsageError, match=r"different kernel trees|^KERNELRELEASE=") as refused:
        resolve(words, TREE, variables=variables, root=system)
    assert refused.value.hint


def test_one_kernel_may_be_named_on_the_command_line_in_several_ways(system: Path) -> None:
    link = str(system / "lib/modules" / OLD / "build")
    for words in ([], [link], [OLD], ["6.1.*"]):
        [kernel] = resolve(words, TREE, variables={KDIR: link, KERNELRELEASE: OLD}, root=system)
        assert kernel.release == OLD


@pytest.mark.parametrize(("need", "release"), [(TREE, NEW), (EITHER, BARE), (IMAGE, BARE)])
def test_takes_the_image_of_the_running_kernel_where_that_is_enough(need: Need, release: str, system: Path) -> None:
    assert [kernel.release for kernel in resolve([], need, root=system, running=BARE)] == [release]


def test_takes_the_newest_tree_when_the_running_kernel_has_none(tmp_path: Path) -> None:
    for release in (OLD, NEW, "6.9.0-1-amd64"):
        install(tmp_path, release)
    [kernel] = resolve([], TREE, root=tmp_path, running="5.15.0-cloud")
    assert kernel.release == NEW
    assert kernel.reason.startswith(
        f"The running kernel 5.15.0-cloud has no headers installed; took the newest tree installed: {NEW}"
    )


@pytest.mark.parametrize("native", [True, False])
def test_takes_no_newer_tree_of_another_architecture_unless_there_is_no_other(native: bool, tmp_path: Path) -> None:
    if native:
        install(tmp_path, OLD)
    install(tmp_path, "6.12.0-1-arm64", config="CONFIG_ARM64=y\nCONFIG_64BIT=y\n")
    install(tmp_path, "6.11.0-1-686", config="CONFIG_X86=y\n")
    [kernel] = resolve([], TREE, root=tmp_path, running="none")
    assert kernel.release == (OLD if native else "6.12.0-1-arm64")


def test_leaves_a_broken_tree_out_of_the_default_and_says_so(tmp_path: Path) -> None:
    install(tmp_path, OLD)
    broken = install(tmp_path, NEW)
    (broken / "Makefile").write_text("include /gone/Makefile\n")
    [kernel] = resolve([], TREE, root=tmp_path, running="none")
    assert kernel.release == OLD
    assert f"left out {broken}" in kernel.reason


def test_says_what_is_wrong_with_a_tree_where_none_can_be_used(tmp_path: Path) -> None:
    (install(tmp_path, OLD) / "Makefile").write_text("include /gone/Makefile\n")
    with pytest.raises(KbuildError, match="source part of the kernel tree is missing") as broken:
        resolve([], TREE, root=tmp_path, running="none")
    assert OLD in broken.value.message


@pytest.mark.parametrize("words", [["all"], ["6.1*"], [NEW], ["running"], []])
def test_does_not_silently_leave_out_a_broken_tree_that_is_meant(words: list[str], tmp_path: Path) -> None:
    install(tmp_path, OLD)
    broken = install(tmp_path, NEW)
    (broken / "Makefile").write_text("include /gone/Makefile\n")
    for need in (TREE, EITHER):
        with pytest.raises(KbuildError, match="source part of the kernel tree is missing"):
            resolve(words, need, root=tmp_path, running=NEW)
    assert [kernel.release for kernel in resolve(["6.1.*"], TREE, root=tmp_path)] == [OLD]


@pytest.mark.parametrize("words", [["6.1"], ["12"], ["amd64"], ["2.0-*"], ["*-1"], ["linux-*"]])
def test_a_broken_tree_is_not_meant_by_a_part_of_its_release(words: list[str], tmp_path: Path) -> None:
    (install(tmp_path, NEW) / "Makefile").write_text("include /gone/Makefile\n")
    with pytest.raises(UsageError, match=r"no kernel .* is installed|no installed kernel matches"):
        resolve(words, TREE, root=tmp_path, running="none")


@pytest.mark.parametrize(
    "place", ["usr/lib/modules/{}/build", "usr/src/kernels/{}", "usr/src/linux-6.12-obj/x86_64/default"]
)
def test_a_broken_tree_is_meant_by_its_release_wherever_it_is(place: str, tmp_path: Path) -> None:
    broken = fake_tree(tmp_path / place.format(NEW), NEW)
    (broken / "Makefile").write_text("include /gone/Makefile\n")
    for word in (NEW, "6.12.*"):
        with pytest.raises(KbuildError, match="source part of the kernel tree is missing"):
            resolve([word], TREE, root=tmp_path, running="none")


def test_all_goes_from_the_oldest_to_the_newest(tmp_path: Path) -> None:
    for release in (NEW, "6.1.0-10-amd64", "6.1.0-9-amd64"):
        install(tmp_path, release)
    releases = [kernel.release for kernel in resolve(["all"], TREE, root=tmp_path)]
    assert releases == ["6.1.0-9-amd64", "6.1.0-10-amd64", NEW]


def test_finds_a_release_that_no_link_leads_to(tmp_path: Path) -> None:
    release = "5.14.0-427.el9.x86_64"
    objects = fake_tree(tmp_path / "usr/src/kernels" / release, release)
    assert resolve([release], TREE, root=tmp_path)[0].the_tree().objects == objects
    [kernel] = resolve([], TREE, root=tmp_path, running=release)
    assert kernel.reason == f"It is the running kernel's ({release})."


@pytest.mark.parametrize("words", [[], ["all"]])
def test_names_the_package_to_install_when_there_is_no_tree(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(KbuildError, match="no kernel tree found") as caught:
        resolve(words, TREE, root=tmp_path, running="6.1")
    assert headers_hint() in caught.value.hint
    assert caught.value.status == 1


def test_a_tree_that_was_built_here_has_an_image_of_its_own(tmp_path: Path) -> None:
    image = install(tmp_path, OLD) / "arch/x86/boot/bzImage"
    image.parent.mkdir(parents=True)
    image.touch()
    for word in (OLD, str(tmp_path / "lib/modules" / OLD / "build"), "6.1*", "all"):
        assert [kernel.the_image() for kernel in resolve([word], IMAGE, root=tmp_path)] == [image]


def test_an_image_that_is_missing_is_fetched_once_it_is_clear_that_a_release_is_meant(system: Path) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(release: str, tree: KernelTree | None) -> Path:
        asked.append((release, tree.release if tree else ""))
        if release == "6.3":
            raise KbuildError("there is no such package")
        return Path(f"/fetched/{release}")

    found = resolve([NEW, "6.2", OLD], IMAGE, root=system, fetch=fetch)
    assert [str(kernel.the_image()) for kernel in found[:2]] == [f"/fetched/{NEW}", "/fetched/6.2"]
    for word in ("nonsense", "6.2/..", "-oDir::Etc=x", "6.2*"):
        with pytest.raises(UsageError):
            resolve([word], IMAGE, root=system, fetch=fetch)
    with pytest.raises(UsageError, match=r"no kernel 6\.3 is installed") as refused:
        resolve(["6.3"], IMAGE, root=system, fetch=fetch)
    assert refused.value.hint == "its image could not be downloaded: there is no such package"
    assert asked == [(NEW, NEW), ("6.2", ""), ("6.3", "")]


def test_an_image_that_cannot_be_fetched_is_asked_for_once_and_both_reasons_are_told(system: Path) -> None:
    asked: list[str] = []

    def fetch(release: str, _: KernelTree | None) -> Path:
        asked.append(release)
        raise KbuildError("there is no such package")

    with pytest.raises(UsageError, match=f"no image of kernel {NEW} is installed, only its headers") as refused:
        resolve([NEW], IMAGE, root=system, fetch=fetch)
    assert refused.value.hint == "none could be downloaded: there is no such package"
    assert asked == [NEW]


@pytest.mark.parametrize("stated", ["all", "running", "own", "linux", "./linux", "6.*", ""])
def test_what_a_module_states_is_a_release_and_nothing_else(stated: str, system: Path) -> None:
    for need in Need:
        with pytest.raises(UsageError, match=r"no kernel .* is installed"):
            resolve_release(stated, need, root=system, running=OLD)
    assert resolve_release(OLD, TREE, root=system).release == OLD


def test_what_a_module_states_is_no_path_below_a_folder_of_images(system: Path) -> None:
    planted = system / "boot/vmlinuz-6.1/evil"
    planted.parent.mkdir()
    planted.touch()
    for need in Need:
        with pytest.raises(UsageError, match=r"no kernel 6\.1/evil is installed"):
            resolve_release("6.1/evil", need, root=system, running="none")


def test_the_running_kernel_is_the_one_that_uname_tells(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(release=OLD, machine="x86_64"))
    reason = f"It is the running kernel's ({OLD})."
    assert resolve(["running"], TREE, root=system)[0].reason == reason
    assert resolve_release(OLD, TREE, root=system).reason == reason
    for running in (NEW, "none"):
        assert resolve_release(OLD, TREE, root=system, running=running).reason == GIVEN
    assert resolve(["running"], TREE, root=system, running=NEW)[0].release == NEW


@pytest.mark.parametrize(
    ("word", "need", "hint"),
    [
        ("6.2", TREE, release_hint("6.2")),
        ("6.2", EITHER, release_hint("6.2")),
        ("6.2", IMAGE, "apt-get install linux-image-6.2"),
        ("nonsense", TREE, "name a kernel tree's path"),
        ("nonsense", IMAGE, "name a kernel tree's path"),
        ("runing", TREE, "did you mean running?"),
        ("onw", TREE, "name a kernel tree's path"),
        (BARE, TREE, release_hint(BARE)),
        (NEW, IMAGE, f"apt-get install linux-image-{NEW}"),
    ],
)
def test_the_hint_is_for_the_part_that_is_missing(word: str, need: Need, hint: str, system: Path) -> None:
    with pytest.raises(UsageError) as refused:
        resolve([word], need, root=system, running="none")
    assert refused.value.hint.startswith(hint)


def test_a_version_that_is_no_release_leads_to_the_pattern(system: Path) -> None:
    for beginning in (OLD[:3], OLD[:5]):
        with pytest.raises(UsageError) as refused:
            resolve([beginning], TREE, root=system, running="none")
        [pattern, *names] = shlex.split(refused.value.hint.removeprefix("-k "))
        assert names == ["names", OLD]
        assert [kernel.release for kernel in resolve([pattern], TREE, root=system, running="none")] == [OLD]
    with pytest.raises(UsageError) as refused:
        resolve([OLD[:2] + "9"], TREE, root=system, running="none")
    assert "apt-get install" in refused.value.hint


def test_a_word_of_the_command_itself_is_suggested_too(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "a.ko", "-k", "onw"]) == 2
    assert "did you mean own?" in capsys.readouterr().err
    assert cli.main(["build", "-k", "onw"]) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_a_system_without_kernels_is_said_to_have_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no kernel 6\.2 is installed, neither headers nor image; installed: none\n"):
        resolve(["6.2"], TREE, root=tmp_path)


def test_a_link_that_leads_nowhere_is_told_from_a_path_that_is_not_there(system: Path) -> None:
    link = system / "lib/modules" / BARE / "build"
    link.symlink_to("/usr/src/gone")
    for need in Need:
        with pytest.raises(UsageError, match="a link to /usr/src/gone, which does not exist"):
            resolve([str(link)], need, root=system)


def test_a_release_and_a_tree_that_contradict_each_other_are_both_named(system: Path) -> None:
    link = system / "lib/modules" / OLD / "build"
    for words, variables in (([], {KDIR: str(link)}), ([OLD], {})):
        with pytest.raises(UsageError) as refused:
            resolve(words, TREE, variables=variables | {KERNELRELEASE: NEW}, root=system)
        assert refused.value.message == (
            f"KERNELRELEASE={NEW}, but the named kernel tree is for {OLD} ({link.resolve()})"
        )


def test_a_command_for_one_kernel_refuses_several(system: Path) -> None:
    assert resolve_one(["6.12*"], TREE, root=system).release == NEW
    with pytest.raises(UsageError, match=rf"-k 6\.\*: one kernel at a time, not 2: {OLD}, {NEW}"):
        resolve_one(["6.*"], TREE, root=system)


# --- Fetched kernels.

MORE = "6.1.0-2-amd64"
MORE_TREE, MORE_IMAGE = (MORE, f"tree {MORE}"), (MORE, f"image {MORE}")


@pytest.fixture
def fetched(system: Path) -> Path:
    """The root of fetched kernels: 6.1 and 6.12, which are installed too, and 6.1.0-2 with its image."""
    for release in (OLD, NEW, MORE):
        install(fetched_root(), release)
    install_image(fetched_root(), MORE)
    return fetched_root()


@pytest.mark.parametrize(
    ("words", "need", "found"),
    [
        ([MORE], TREE, [MORE_TREE]),
        ([MORE], EITHER, [MORE_TREE]),
        ([MORE], IMAGE, [MORE_IMAGE]),
        (["running"], TREE, [MORE_TREE]),
        (["6.1.*"], TREE, [OLD_TREE, MORE_TREE]),
        (["6.*"], EITHER, [OLD_TREE, MORE_TREE, NEW_TREE, BARE_IMAGE]),
        (["6.1.*"], IMAGE, [(*OLD_TREE, f"image {OLD}"), (*MORE_TREE, f"image {MORE}")]),
        (["all"], TREE, [OLD_TREE, NEW_TREE]),
        (["fetched"], TREE, [OLD_TREE, MORE_TREE, NEW_TREE]),
    ],
)
def test_words_mean_fetched_kernels_too(
    words: list[str], need: Need, found: list[tuple[str, ...]], system: Path, fetched: Path
) -> None:
    kernels = resolve(words, need, root=system, running=MORE)
    assert [shown(kernel) for kernel in kernels] == found
    for kernel in kernels:
        root = fetched if words == ["fetched"] or kernel.release == MORE else system
        assert kernel.tree is None or kernel.tree.objects.parents[2] == root


def test_what_a_module_states_may_be_fetched(system: Path, fetched: Path) -> None:
    assert resolve_release(MORE, TREE, root=system).the_tree().objects.is_relative_to(fetched)
    with pytest.raises(UsageError, match=r"no kernel fetched is installed"):
        resolve_release("fetched", TREE, root=system, running=OLD)


def test_a_fetched_kernel_is_the_default_where_it_runs_and_where_none_is_installed(system: Path, fetched: Path) -> None:
    assert resolve([], TREE, root=system, running=MORE)[0].release == MORE
    [kernel] = resolve([], TREE, root=system, running="none")
    assert "took the newest tree installed" in kernel.reason
    [kernel] = resolve([], TREE, root=system / "empty", running="none")
    assert kernel.the_tree().objects.is_relative_to(fetched)
    assert f"took the newest tree fetched: {NEW}" in kernel.reason


def test_an_error_names_the_fetched_kernels_behind_the_installed_ones(system: Path, fetched: Path) -> None:
    for words in (["6.2"], ["6.2.*"]):
        with pytest.raises(UsageError) as refused:
            resolve(words, TREE, root=system, running="none")
        assert refused.value.message.endswith(f"{INSTALLED}; fetched: {NEW}, {MORE}, {OLD}")


# --- Commands.


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module's directory as the working directory, without a package manager to get images with, but with what `run`
    looks for first."""
    (tmp_path / "Kbuild").write_text("obj-m := a.o\n")
    (tmp_path / "a.ko").write_bytes(elf_object([], [], modinfo=b"name=a\0vermagic=6.66.6-none SMP\0"))
    for name in ("qemu-system-x86_64", "busybox"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = {
    "build": ["build"],
    "check": ["check", "a.ko"],
    "init": ["init", "-n"],
    "install": ["install", "a.ko"],
    "package": ["package", "tar", "a.ko"],
    "run": ["run", "a.ko"],
    "explain": ["explain", "a.o"],
    "info": ["info", "a.ko"],
    "sign": ["sign", "a.ko", "--key", "key.pem", "--hash", "sha256"],
    "verify": ["verify", "a.ko"],
    "which": ["which", "a"],
}


@pytest.mark.parametrize("word", ["", ".", "..", "/nowhere/at/all", "6.66.6-none", "nonsense", "0.0.*", "fetched"])
def test_every_command_says_the_same_of_the_same_bad_word(
    word: str, module: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for command, words in COMMANDS.items():
        status = cli.main([*words, "-k", word])
        said[command] = (status, capsys.readouterr().err.splitlines()[0])
    assert set(said.values()) == {(2, said["build"][1])}, said
    assert said["build"][1].startswith("kbuildpy: error: ")
