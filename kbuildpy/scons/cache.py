# SPDX-License-Identifier: GPL-2.0-only
"""SCons' cache of built files (`CacheDir`), made right for kernel modules, and with servers as its place.

SCons names a cached file after its action and its dependencies, and copies it unchecked. Kernel headers are not among
these, and the module's own are known for certain only after a compilation. Here the key is made of contents (`recipe`),
the files of an action are one entry with a digest, what was taken is checked against what it was made from, and a
process of its own talks to the store (`kbuildpy.shared`).
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import SCons.Action
import SCons.CacheDir
import SCons.Defaults
import SCons.Node.FS

from kbuildpy.kbuild.portable_root import with_root, without_root
from kbuildpy.printable import printable
from kbuildpy.say import complain, say
from kbuildpy.scons.actions import KbuildAction
from kbuildpy.scons.interrupts import ending_signal
from kbuildpy.scons.options import is_silent
from kbuildpy.scons.recipe import Recipe
from kbuildpy.scons.unfinished import taken_beside
from kbuildpy.shared.address import directory_of
from kbuildpy.shared.shared_cache import SharedCache, TakenEntry, remove_taken


@functools.cache
def cache_class(base: type) -> type:
    """The class of a cache that stores kernel modules soundly, and all else as `base` does; on servers only modules."""
    if hasattr(base, "is_for_modules"):
        return base

    class KernelCacheDir(base):  # type: ignore[misc]
        is_for_modules = True

        def __init__(self, path: Any) -> None:
            super().__init__(None)
            self.path = path and (path if directory_of(path) is None else os.path.abspath(path))  # noqa: PTH100
            self.config: dict[str, Any] = {}
            self._config_lock = threading.Lock()

        def cachepath(self, node: Any) -> tuple[Any, Any]:
            return super().cachepath(node) if self._is_directory() else (None, None)

        def get_cachedir_csig(self, node: Any) -> Any:
            return super().get_cachedir_csig(node) if self._is_directory() else None

        def retrieve(self, node: Any) -> bool:
            if not self.is_enabled():
                return False
            action = _our_action(node)
            if action is None:
                return not _is_ours(node) and self._is_directory() and bool(super().retrieve(node))
            return bool(SCons.Action.execute_actions) and _retrieve(self.shared(), action, node)

        def push(self, node: Any) -> Any:
            if self.is_readonly() or not self.is_enabled():
                return None
            action = _our_action(node)
            if action is None:
                return super().push(node) if not _is_ours(node) and self._is_directory() else None
            return _push(self.shared(), action, node)

        def shared(self) -> SharedCache:
            """The run's cache at this place."""
            return _shared_cache(self.path)

        def _is_directory(self) -> bool:
            """Whether SCons itself can use the place, which it prepares when it does so first: it may be on a network's
            file system that hangs."""
            # (SCons' own copies have no signature)
            if directory_of(self.path or "") is None or not self.is_enabled() or self.shared().is_signed:
                return False
            with self._config_lock:
                if not self.config:
                    self._readconfig(self.path)
            return True

    return KernelCacheDir


def find_cache_in_any_thread(env: Any) -> None:
    """Let threads ask the construction environment `env` for its cache at the same time.

    Where no CacheDir() was called for it, SCons asks its default environment, and makes that if nobody has used it: in
    each thread that comes before it is there, with imports that do not bear it (`SCons.Defaults.DefaultEnvironment`).
    One that was not made has no CacheDir().
    """
    found = env.get_CacheDir

    def get_cache_dir() -> Any:
        if SCons.Defaults._default_env is None and not hasattr(env, "_CacheDir_path"):
            env._CacheDir_path = None
        return found()

    env.get_CacheDir = get_cache_dir


def use_shared_cache(env: Any, address: str, *, key_file: str, soon: bool = False) -> None:
    """Let the construction environment `env` use the shared cache at `address`, with a key in the file `key_file`, ""
    for none. `soon`: it will be asked, so its process starts while make is asked for its decisions."""
    shared = _shared_cache(address, key_file=key_file)
    if soon:
        shared.begin()
    env.CacheDir(address)


def shares(env: Any) -> bool:
    """Whether what a build makes in the construction environment `env` is stored for others."""
    cache = env.get_CacheDir()
    return bool(cache.is_enabled() and not cache.is_readonly())


def _is_ours(node: Any) -> bool:
    return any(isinstance(action, KbuildAction) for action in node.get_executor().get_action_list())


def _our_action(node: Any) -> KbuildAction | None:
    """The action that makes `node`, if its files may be shared; not where the user has added others to it."""
    actions = node.get_executor().get_action_list()
    action = actions[0] if len(actions) == 1 else None
    return action if isinstance(action, KbuildAction) and action.recipe is not None else None


def _shared_cache(address: str, *, key_file: str | None = None) -> SharedCache:
    with _LOCK:
        # (as the session: one for each file system object of SCons, that is, for each run)
        fs = SCons.Node.FS.get_default_fs()
        known: dict[str, SharedCache] = fs.__dict__.setdefault("kbuildpy_shared_caches", {})
        if address not in known:
            chosen = os.environ.get("KBUILDPY_CACHE_KEY", "") if key_file is None else key_file
            known[address] = SharedCache(address, key_file=chosen, tell=complain)
            atexit.register(_end, known[address])
        return known[address]


def _end(shared: SharedCache) -> None:
    """Wait for what is being stored, but not when the run is interrupted."""
    shared.end(wait=not ending_signal())


def _retrieve(shared: SharedCache, action: KbuildAction, node: Any) -> bool:
    recipe = action.recipe
    assert recipe is not None
    targets = node.get_executor().get_all_targets()
    if node is targets[0]:
        recipe.taken = _take(shared, action, recipe, targets, node.get_executor().get_all_sources())
    if recipe.taken and not is_silent(node.get_build_env()):
        say(f"Retrieved `{node.get_internal_path()}' from cache")
    return recipe.taken


def _take(shared: SharedCache, action: KbuildAction, recipe: Recipe, targets: list[Any], sources: list[Any]) -> bool:
    paths = [target.get_abspath() for target in targets]
    recipe.began_ns = time.time_ns()
    recipe.key = recipe.find_key(paths, [source.get_abspath() for source in sources])
    into = taken_beside(Path(paths[0]))
    action.begin()
    into.parent.mkdir(parents=True, exist_ok=True)
    try:
        taken = shared.take(recipe.key, into, count=len(paths))
        return taken is not None and _accept(recipe, taken, paths, whose=action.whose)
    finally:
        # (also what came too late, or in part)
        remove_taken(into, count=len(paths))


def _accept(recipe: Recipe, taken: TakenEntry, paths: list[str], *, whose: str) -> bool:
    """Put what was taken into its places, and keep it there if the recipe accepts it; prints what was printed when it
    was made. `whose` is the kernel that this is about, where there are several."""
    accepted = False
    try:
        for file, path in zip(taken.files, paths, strict=True):
            file.replace(path)
        recipe.put_back(paths)
        said = with_root(str(taken.facts["said"]), recipe.root)
        accepted = recipe.accepts(taken.facts)
        if accepted and said.strip():
            complain("\n".join(map(printable, said.rstrip("\n").split("\n"))), whose=whose)
        return accepted
    except (OSError, KeyError, ValueError, TypeError, AttributeError):
        return False  # (somebody else's facts)
    finally:
        if not accepted:
            for path in paths:
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108


def _push(shared: SharedCache, action: KbuildAction, node: Any) -> None:
    recipe, executor = action.recipe, node.get_executor()
    assert recipe is not None
    targets = executor.get_all_targets()
    if node is not targets[0] or recipe.taken or recipe.is_advised or len(recipe.said) > _MOST_SAID:
        return
    paths = [target.get_abspath() for target in targets]
    key = recipe.find_key(paths, [source.get_abspath() for source in executor.get_all_sources()])
    # (another key than before: a file was edited meanwhile)
    if key == recipe.key and recipe.may_share():
        texts = recipe.texts(paths)
        if texts is not None:
            facts = {**recipe.facts(), "said": without_root(recipe.said, recipe.root)}
            shared.give(key, paths, seconds=action.seconds, facts=facts, texts=texts)


_LOCK = threading.Lock()
_MOST_SAID = 1 << 16
