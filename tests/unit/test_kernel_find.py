"""Finding kernel trees: which are there, which one is meant, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.find import find_called_trees, find_trees, installed_trees
from kbuildpy.kernel.packages import headers_hint, reinstall_hint, release_hint
from kbuildpy.kernel.release import release_order
from tests.unit.test_kernel_open import fake_source, fake_tree


@pytest.fixture(autouse=True)
def on_a_64_bit_pc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbuildpy.kernel.find.is_native", lambda found: str(found) == "x86_64")


def install(root: Path, release: str, *, config: str = "CONFIG_X86=y\nCONFIG_64BIT=y\n") -> Path:
    """A headers package: the tree below /usr/src, and the link to it that the loader's directory has."""
    objects = fake_tree(root / "usr/src" / f"linux-headers-{release}", release, config=config)
    modules = root / "lib/modules" / release
    modules.mkdir(parents=True)
    (modules / "build").symlink_to(objects)
    return objects


def test_takes_the_running_kernels_tree(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    install(tmp_path, "6.12.0-1-amd64")
    [found] = find_trees(root=tmp_path, running="6.1.0-1-amd64")
    assert found.tree.release == "6.1.0-1-amd64"
    assert found.reason == "It is the running kernel's (6.1.0-1-amd64)."


def test_takes_the_newest_tree_when_the_running_kernel_has_none(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    install(tmp_path, "6.12.0-1-amd64")
    install(tmp_path, "6.9.0-1-amd64")
    [found] = find_trees(root=tmp_path, running="5.15.0-cloud")
    assert found.tree.release == "6.12.0-1-amd64"
    assert found.reason.startswith(
        "The running kernel 5.15.0-cloud has no headers installed; took the newest tree installed: 6.12.0-1-amd64"
    )


def test_takes_no_newer_tree_of_another_architecture(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    install(tmp_path, "6.12.0-1-arm64", config="CONFIG_ARM64=y\nCONFIG_64BIT=y\n")
    install(tmp_path, "6.12.0-1-686", config="CONFIG_X86=y\n")
    [found] = find_trees(root=tmp_path, running="none")
    assert found.tree.release == "6.1.0-1-amd64"


def test_takes_a_tree_of_another_architecture_when_there_is_no_other(tmp_path: Path) -> None:
    install(tmp_path, "6.12.0-1-arm64", config="CONFIG_ARM64=y\nCONFIG_64BIT=y\n")
    [found] = find_trees(root=tmp_path, running="none")
    assert found.tree.release == "6.12.0-1-arm64"


def test_leaves_a_broken_tree_out_and_says_so(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    broken = install(tmp_path, "6.12.0-1-amd64")
    (broken / "Makefile").write_text("include /gone/Makefile\n")
    [found] = find_trees(root=tmp_path, running="none")
    assert found.tree.release == "6.1.0-1-amd64"
    assert f"left out {broken}" in found.reason


def test_does_not_replace_the_running_kernels_broken_tree_by_another(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    broken = install(tmp_path, "6.12.0-1-amd64")
    (broken / "include/generated/autoconf.h").unlink()
    with pytest.raises(KbuildError, match="not prepared"):
        find_trees(root=tmp_path, running="6.12.0-1-amd64")


def test_kdir_goes_before_the_release_and_the_running_kernel(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    own = fake_tree(tmp_path / "linux", "7.0.0")
    [found] = find_trees(root=tmp_path, kdir=str(own), kernelrelease="6.1.0-1-amd64", running="6.1.0-1-amd64")
    assert found.tree.objects == own
    assert found.reason == f"KDIR names {own}."


def test_kernelrelease_goes_before_the_running_kernel(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    install(tmp_path, "6.12.0-1-amd64")
    [found] = find_trees(root=tmp_path, kernelrelease="6.1.0-1-amd64", running="6.12.0-1-amd64")
    assert found.tree.release == "6.1.0-1-amd64"


def test_a_release_on_the_command_line_goes_before_kdir_in_the_environment(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    environ = {"KDIR": str(fake_tree(tmp_path / "linux", "7.0.0"))}
    [found] = find_called_trees([], {"KERNELRELEASE": "6.1.0-1-amd64"}, environ=environ, root=tmp_path)
    assert (found.tree.release, found.by_kdir) == ("6.1.0-1-amd64", False)
    [found] = find_called_trees(["6.1.0-1-amd64"], {}, environ=environ, root=tmp_path)
    assert found.tree.release == "6.1.0-1-amd64"
    [found] = find_called_trees([], {"V": "1"}, environ=environ, root=tmp_path)
    assert (found.tree.release, found.by_kdir) == ("7.0.0", True)


def test_one_kernel_may_be_named_on_the_command_line_in_several_ways(tmp_path: Path) -> None:
    objects = install(tmp_path, "6.1.0-1-amd64")
    install(tmp_path, "6.12.0-1-amd64")
    link = str(tmp_path / "lib/modules/6.1.0-1-amd64/build")
    named = {"KDIR": link, "KERNELRELEASE": "6.1.0-1-amd64"}
    for wanted in ([], [str(objects)], ["6.1.0-1-amd64"]):
        [found] = find_called_trees(wanted, named, environ={"KDIR": "/nowhere"}, root=tmp_path)
        assert found.tree.objects == objects


@pytest.mark.parametrize(
    ("wanted", "variables"),
    [
        ([], {"KDIR": "6.1.0-1-amd64", "KERNELRELEASE": "6.12.0-1-amd64"}),
        (["6.12.0-1-amd64"], {"KDIR": "6.1.0-1-amd64"}),
        (["all"], {"KDIR": "6.1.0-1-amd64"}),
        (["6.12.0-1-amd64"], {"KERNELRELEASE": "6.1.0-1-amd64"}),
        (["all"], {"KERNELRELEASE": "6.1.0-1-amd64"}),
    ],
)
def test_a_command_line_that_names_two_kernels_is_refused(
    wanted: list[str], variables: dict[str, str], tmp_path: Path
) -> None:
    for release in ("6.1.0-1-amd64", "6.12.0-1-amd64"):
        install(tmp_path, release)
    if "KDIR" in variables:
        variables = variables | {"KDIR": str(tmp_path / "lib/modules" / variables["KDIR"] / "build")}
    with pytest.raises(UsageError, match=r"different kernel trees|^KERNELRELEASE=") as refused:
        find_called_trees(wanted, variables, environ={}, root=tmp_path)
    assert refused.value.hint


def test_wanted_trees_go_before_kdir(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    [found] = find_trees(["6.1.0-1-amd64"], root=tmp_path, kdir="/nowhere")
    assert found.tree.release == "6.1.0-1-amd64"


def test_keeps_the_order_of_wanted_trees_and_drops_what_is_named_twice(tmp_path: Path) -> None:
    old = install(tmp_path, "6.1.0-1-amd64")
    new = install(tmp_path, "6.12.0-1-amd64")
    link = tmp_path / "lib/modules/6.12.0-1-amd64/build"
    found = find_trees(["running", str(link), "6.1.0-1-amd64", "all"], root=tmp_path, running="6.12.0-1-amd64")
    assert [item.tree.objects for item in found] == [new, old]


def test_all_goes_from_the_oldest_to_the_newest(tmp_path: Path) -> None:
    for release in ("6.12.0-1-amd64", "6.1.0-10-amd64", "6.1.0-9-amd64"):
        install(tmp_path, release)
    releases = [item.tree.release for item in find_trees(["all"], root=tmp_path)]
    assert releases == ["6.1.0-9-amd64", "6.1.0-10-amd64", "6.12.0-1-amd64"]


def test_all_does_not_silently_leave_a_broken_tree_out(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    broken = install(tmp_path, "6.12.0-1-amd64")
    (broken / "Makefile").write_text("include /gone/Makefile\n")
    with pytest.raises(KbuildError, match="source part of the kernel tree is missing"):
        find_trees(["all"], root=tmp_path)


def test_finds_a_release_that_no_link_leads_to(tmp_path: Path) -> None:
    objects = fake_tree(tmp_path / "usr/src/kernels/5.14.0-427.el9.x86_64", "5.14.0-427.el9.x86_64")
    assert find_trees(["5.14.0-427.el9.x86_64"], root=tmp_path)[0].tree.objects == objects
    assert find_trees(root=tmp_path, running="5.14.0-427.el9.x86_64")[0].reason.startswith("It is the running kernel's")


def test_finds_a_tree_that_stands_in_the_modules_directory_itself(tmp_path: Path) -> None:
    objects = fake_tree(tmp_path / "usr/lib/modules/6.9.1-arch1-1/build", "6.9.1-arch1-1")
    assert [tree.objects for tree in installed_trees(tmp_path).trees] == [objects]


def test_takes_a_directory_whose_name_is_no_release_as_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tree(tmp_path / "linux", "7.0.0")
    monkeypatch.chdir(tmp_path)
    assert find_trees(["linux"], root=tmp_path)[0].tree.release == "7.0.0"


def test_refuses_a_release_that_is_not_installed_and_lists_those_that_are(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    with pytest.raises(UsageError, match=r"no kernel tree for release 6\.2; installed: 6\.1\.0-1-amd64") as caught:
        find_trees(["6.2"], root=tmp_path)
    assert "6.2" in caught.value.hint


def test_refuses_running_when_the_running_kernel_has_no_tree(tmp_path: Path) -> None:
    install(tmp_path, "6.1.0-1-amd64")
    with pytest.raises(UsageError, match=r"no kernel tree for the running kernel 5\.15"):
        find_trees(["running"], root=tmp_path, running="5.15")


def test_refuses_an_empty_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty name"):
        find_trees([""], root=tmp_path)


@pytest.mark.parametrize("wanted", [[], ["all"]])
def test_names_the_package_to_install_when_there_is_no_tree(tmp_path: Path, wanted: list[str]) -> None:
    with pytest.raises(KbuildError, match="no kernel tree found") as caught:
        find_trees(wanted, root=tmp_path, running="6.1")
    assert headers_hint() in caught.value.hint
    assert caught.value.status == 1


def test_passes_over_an_image_without_headers_and_over_source_parts(tmp_path: Path) -> None:
    (tmp_path / "lib/modules/6.1").mkdir(parents=True)
    (tmp_path / "lib/modules/6.1/build").symlink_to(tmp_path / "gone")
    fake_source(tmp_path / "usr/src/linux-headers-6.1-common")
    installed = installed_trees(tmp_path)
    assert (installed.trees, installed.broken) == ((), ())


def test_orders_releases_as_a_person_does() -> None:
    ordered = [
        "5.10.0-33-amd64",
        "6.1.0-9-amd64",
        "6.1.0-56-rt-amd64",
        "6.1.0-56-amd64",
        "6.1.192",
        "6.12-rc6",
        "6.12~rc7-amd64",
        "6.12.0",
        "6.12.117+deb12-amd64",
        "6.12.117+deb13-amd64",
        "10.0",
    ]
    backwards = ordered[::-1]
    assert sorted(backwards, key=release_order) == ordered


@pytest.mark.parametrize(
    ("os_release", "machine", "hint"),
    [
        ("ID=debian\n", "x86_64", "apt-get install linux-headers-amd64"),
        ("ID=debian\n", "aarch64", "apt-get install linux-headers-arm64"),
        ("ID=ubuntu\nID_LIKE=debian\n", "x86_64", "apt-get install linux-headers-generic"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "x86_64", "dnf install kernel-devel"),
        ("ID=arch\n", "x86_64", "pacman -S linux-headers"),
        ("ID=unheard-of\n", "x86_64", "install your distribution's kernel headers package"),
    ],
)
def test_names_the_headers_package_in_the_distributions_words(
    tmp_path: Path, os_release: str, machine: str, hint: str
) -> None:
    (tmp_path / "os-release").write_text(os_release)
    assert headers_hint(machine=machine, os_release=tmp_path / "os-release").startswith(hint)


def test_names_the_package_of_one_release_and_of_a_lost_part(tmp_path: Path) -> None:
    (tmp_path / "debian").write_text("ID=debian\n")
    assert (
        release_hint("6.1.0-1-amd64", os_release=tmp_path / "debian") == "apt-get install linux-headers-6.1.0-1-amd64"
    )
    lost = Path("/usr/src/linux-headers-6.1.0-1-common")
    assert (
        reinstall_hint(lost, os_release=tmp_path / "debian")
        == "apt-get install --reinstall linux-headers-6.1.0-1-common"
    )
    assert "apt-get" not in reinstall_hint(Path("/home/me/linux"), os_release=tmp_path / "debian")
