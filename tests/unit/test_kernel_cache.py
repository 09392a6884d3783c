# SPDX-License-Identifier: GPL-2.0-only
"""Per-user caches: where they live, and that nothing half-written comes out of them."""

from __future__ import annotations

import grp
import os
import pwd
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel import cache
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.own_paths import found_foreign
from kbuildpy.run import run


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for /tmp."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def test_the_environment_variable_goes_first(tmp_path: Path) -> None:
    environment = {"KBUILDPY_CACHE": str(tmp_path / "own"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert cache_directory(environment) == tmp_path / "own"
    assert (tmp_path / "own").is_dir()


def test_then_the_xdg_cache_home_then_the_home(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)}
    assert cache_directory(environment) == tmp_path / "xdg/kbuildpy"
    assert cache_directory({"HOME": str(tmp_path)}) == tmp_path / ".cache/kbuildpy"


def test_ignores_a_relative_xdg_cache_home(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": "relative", "HOME": str(tmp_path)}
    assert cache_directory(environment) == tmp_path / ".cache/kbuildpy"


def test_falls_back_on_a_private_directory_where_the_home_cannot_be_written(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.cache").touch()  # root may write anywhere but below a file
    directory = cache_directory({"HOME": str(tmp_path / "home")})
    assert directory == temporary / f"kbuildpy-{os.geteuid()}"
    assert directory.stat().st_mode & 0o777 == 0o700


def test_never_makes_a_home_that_is_not_there(tmp_path: Path, temporary: Path) -> None:
    assert cache_directory({"HOME": str(tmp_path / "nonexistent")}).parent == temporary
    assert not (tmp_path / "nonexistent").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_leaves_another_users_home_alone(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / ".cache/kbuildpy").mkdir(parents=True)
    os.chown(tmp_path / ".cache/kbuildpy", 1000, 1000)
    assert cache_directory({"HOME": str(tmp_path)}).parent == temporary


def test_refuses_a_private_directory_that_others_can_write(temporary: Path) -> None:
    planted = temporary / f"kbuildpy-{os.geteuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    with pytest.raises(KbuildError, match="not a private directory of this user"):
        cache_directory({})


def test_refuses_a_private_directory_that_is_a_link(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (temporary / f"kbuildpy-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KbuildError, match="not a private directory of this user"):
        cache_directory({})


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    cache._said.clear()


@as_root
@pytest.mark.parametrize("variable", ["KBUILDPY_CACHE", "XDG_CACHE_HOME"])
@pytest.mark.parametrize("given_away", ["shared", "shared/cache", "shared/cache/kbuildpy"])
def test_uses_no_cache_that_is_or_lies_in_somebody_elses_directory(
    variable: str, given_away: str, tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "shared/cache/kbuildpy"
    place.mkdir(parents=True)
    os.chown(tmp_path / given_away, 1000, 1000)
    value = place if variable == "KBUILDPY_CACHE" else place.parent
    assert cache_directory({variable: str(value)}).parent == temporary
    said = capsys.readouterr().err
    assert f"the cache {place} is not used: {tmp_path / given_away} belongs to " in said
    assert list(place.iterdir()) == []
    # ... which is said once.
    cache_directory({variable: str(value)})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("mode", "who"), [(0o777, "everybody"), (0o757, "everybody"), (0o1777, "everybody"), (0o2775, "a group")]
)
def test_uses_no_cache_that_others_can_write(
    mode: int, who: str, tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "cache"
    place.mkdir()
    if who == "a group":
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory to a group")
        os.chown(place, -1, 1000)
    place.chmod(mode)
    assert cache_directory({"KBUILDPY_CACHE": str(place)}).parent == temporary
    assert f"{place} can be written by {who}" in capsys.readouterr().err


def test_makes_no_cache_where_others_can_put_another_in_its_place(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert cache_directory({"KBUILDPY_CACHE": str(tmp_path / "open/cache")}).parent == temporary
    assert list((tmp_path / "open").iterdir()) == []
    # Nobody can replace what is ours in a sticky one, as /tmp is.
    (tmp_path / "open").chmod(0o1777)
    assert cache_directory({"KBUILDPY_CACHE": str(tmp_path / "open/cache")}) == tmp_path / "open/cache"


@as_root
def test_looks_at_links_and_where_they_lead(
    tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mine", "theirs", "open"):
        (tmp_path / name).mkdir()
    os.chown(tmp_path / "theirs", 1000, 1000)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "to_mine").symlink_to("mine")
    (tmp_path / "to_theirs").symlink_to("theirs")
    (tmp_path / "open/to_mine").symlink_to(tmp_path / "mine")
    (tmp_path / "planted").symlink_to("mine")
    os.chown(tmp_path / "planted", 1000, 1000, follow_symlinks=False)
    (tmp_path / "loop").symlink_to("loop")
    assert cache_directory({"KBUILDPY_CACHE": str(tmp_path / "to_mine")}) == tmp_path / "to_mine"
    assert capsys.readouterr().err == ""
    for name, what in (
        ("to_theirs", "theirs belongs to"),
        ("open/to_mine", "open can be written by everybody"),
        ("planted", "planted belongs to"),
        ("loop", "loop: too many links"),
    ):
        assert cache_directory({"KBUILDPY_CACHE": str(tmp_path / name)}).parent == temporary
        assert f"{tmp_path}/{what}" in capsys.readouterr().err


@as_root
def test_under_sudo_leaves_nothing_in_the_users_home(
    tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    os.chown(tmp_path / "home", 1000, 1000)
    assert cache_directory({"HOME": str(tmp_path / "home")}).parent == temporary
    assert list((tmp_path / "home").iterdir()) == []
    assert "home belongs to " in capsys.readouterr().err


def test_uses_no_cache_in_which_others_can_write(
    tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache/trees").mkdir(parents=True)
    (tmp_path / "cache/trees").chmod(0o777)
    assert cache_directory({"KBUILDPY_CACHE": str(tmp_path / "cache")}).parent == temporary
    assert "trees can be written by everybody" in capsys.readouterr().err
    # Nobody else gets there through a directory that is closed to others.
    (tmp_path / "cache").chmod(0o700)
    assert cache_directory({"KBUILDPY_CACHE": str(tmp_path / "cache")}) == tmp_path / "cache"


@as_root
def test_refuses_a_private_directory_below_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    os.chown(tmp_path / "tmp", 1000, 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with pytest.raises(KbuildError, match="not a private directory of this user"):
        cache_directory({})


def test_makes_the_folders_on_the_way_for_this_user_alone(tmp_path: Path, temporary: Path) -> None:
    before = os.umask(0o002)
    try:
        assert cache_directory({"HOME": str(tmp_path)}) == tmp_path / ".cache/kbuildpy"
        assert cache_directory({"HOME": str(tmp_path)}) == tmp_path / ".cache/kbuildpy"
    finally:
        os.umask(before)
    assert (tmp_path / ".cache").stat().st_mode & 0o777 == 0o700


def test_a_path_that_climbs_leads_to_a_directory_that_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "open/below").mkdir(parents=True)
    (tmp_path / "open").chmod(0o1777)
    (tmp_path / "link").symlink_to("open/below/..")
    for place in (tmp_path / "open", tmp_path / "open/below/..", tmp_path / "link"):
        assert found_foreign(place) == f"{tmp_path}/open can be written by everybody"


@as_root
def test_a_group_that_is_another_users_first_one_is_not_the_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = pwd.struct_passwd(("root", "x", 0, 1000, "", "/root", ""))
    other = pwd.struct_passwd(("other", "x", 1001, 1000, "", "/", ""))
    monkeypatch.setattr(grp, "getgrgid", lambda number: grp.struct_group(("root", "x", number, [])))
    os.chown(tmp_path, 0, 1000)
    tmp_path.chmod(0o770)
    monkeypatch.setattr(pwd, "getpwall", lambda: [owner])
    assert found_foreign(tmp_path) == ""
    monkeypatch.setattr(pwd, "getpwall", lambda: [owner, other])
    assert found_foreign(tmp_path) == f"{tmp_path} can be written by a group"


@as_root
def test_a_sandbox_that_knows_one_user_only_has_a_cache(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 1000, 1000)
        script = "from kbuildpy.kernel.cache import cache_directory; print(cache_directory())"
        sandbox = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-c", script]
        alone = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]
        powers = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # (Python may be in root's home)
        done = run(
            [*alone, *powers, *sandbox],
            env={**os.environ, "KBUILDPY_CACHE": f"{folder}/cache", "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )
        if "unshare failed" in done.error_text or "Permission denied" in done.error_text:
            pytest.skip(f"no user namespaces here: {done.error_text}")
        assert (done.text, done.error_text) == (f"{folder}/cache\n", "")


def test_gives_back_what_was_put_in(tmp_path: Path) -> None:
    value = {"plan": [1, "zwei", None, {"nested": True}]}
    assert write_json(tmp_path / "below/here.json", value)
    assert read_json(tmp_path / "below/here.json") == value


@pytest.mark.parametrize("content", [b"", b'{"a": [1, 2', b"\xff\xfe\x00", b"[" * 200_000], ids=repr)
def test_takes_a_damaged_file_for_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "damaged.json").write_bytes(content)
    assert read_json(tmp_path / "damaged.json") is None


def test_takes_an_edited_file_for_none(tmp_path: Path) -> None:
    assert write_json(tmp_path / "edited.json", {"answer": 1})
    path = tmp_path / "edited.json"
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    assert read_json(path) is None


def test_takes_what_another_version_wrote_for_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_VERSION", 1)
        assert write_json(tmp_path / "kept.json", {"answer": 1})
        assert read_json(tmp_path / "kept.json") == {"answer": 1}
    assert read_json(tmp_path / "kept.json") is None


def test_takes_a_missing_file_and_a_directory_for_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "missing.json") is None
    assert read_json(tmp_path) is None


def test_says_that_a_file_could_not_be_written_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not write_json(tmp_path / "file/below.json", 1)
    (tmp_path / "directory.json/full").mkdir(parents=True)
    assert not write_json(tmp_path / "directory.json", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory.json", "file"]


def test_a_reader_never_sees_half_a_file_while_writers_race(tmp_path: Path) -> None:
    path = tmp_path / "raced.json"
    values = [[number] * 20_000 for number in range(4)]
    assert write_json(path, values[0])
    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(write_json, path, values[number % 4]) for number in range(60)]
        while not all(writer.done() for writer in writers):
            assert read_json(path) in values
    assert all(writer.result() for writer in writers)
    assert [found.name for found in tmp_path.iterdir()] == ["raced.json"]
