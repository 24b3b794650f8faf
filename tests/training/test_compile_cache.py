"""The folder of compiled programs: whose it may be, and what is set in JAX for its sake."""

import os
import stat

import jax
import pytest

from denpa.training import compile_cache

LEAST, LIMIT = "jax_persistent_cache_min_compile_time_secs", "jax_compilation_cache_max_size"


@pytest.fixture
def chosen(monkeypatch):
    """What is chosen for a folder, in a process that has not compiled anything; JAX forgets it afterwards."""
    names = "jax_enable_compilation_cache", "jax_compilation_cache_dir", LEAST, LIMIT
    before = {name: jax.config.values[name] for name in names}
    jax.config.update("jax_enable_compilation_cache", True)
    monkeypatch.delenv(LEAST.upper(), raising=False)

    def choose(folder):
        monkeypatch.setenv("DENPA_COMPILE_CACHE", str(folder))
        compile_cache._chosen_folder.cache_clear()
        return compile_cache.cache_folder()

    yield choose
    compile_cache._chosen_folder.cache_clear()
    for name, value in before.items():
        jax.config.update(name, value)


def rights(path):
    return stat.S_IMODE(path.stat().st_mode)


posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of POSIX")


@posix
def test_a_new_folder_is_the_users_alone(chosen, tmp_path):
    before = os.umask(0)
    try:
        assert chosen(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    finally:
        os.umask(before)
    assert rights(tmp_path / "new" / "folder") == 0o700
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "new" / "folder")


@posix
def test_a_folder_that_only_the_group_could_write_to_is_closed_to_it(chosen, tmp_path):
    (tmp_path / "programs").mkdir()
    for folder in (tmp_path, tmp_path / "programs"):
        folder.chmod(0o775)
    assert chosen(tmp_path) == tmp_path
    assert rights(tmp_path) == rights(tmp_path / "programs") == 0o755


def refused(chosen, folder, reason):
    with pytest.warns(UserWarning, match=f"No compiled programs are kept in .*: {reason}"):
        assert chosen(folder) is None
    assert compile_cache.cache_folder() is None  # and is told once
    assert jax.config.values["jax_compilation_cache_dir"] is None


@posix
@pytest.mark.parametrize("inside", ["", "programs"])
def test_a_folder_that_others_can_write_to_is_not_used(chosen, tmp_path, inside):
    (tmp_path / inside).mkdir(exist_ok=True)
    (tmp_path / inside).chmod(0o777)
    refused(chosen, tmp_path, "other users may write into it")
    assert rights(tmp_path / inside) == 0o777


@posix
def test_the_folder_of_another_user_is_not_used(chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    refused(chosen, tmp_path, "it belongs to another user")


@posix
def test_a_folder_that_cannot_be_made_is_told(chosen, tmp_path):
    (tmp_path / "file").write_text("")
    refused(chosen, tmp_path / "file" / "folder", "Not a directory")


def test_what_the_user_has_set_stays(chosen, tmp_path, monkeypatch):
    chosen(tmp_path)
    assert jax.config.values[LEAST] == 0.01
    assert jax.config.values[LIMIT] == -1
    for given in (5.0, 1.0):
        jax.config.update("jax_compilation_cache_dir", None)
        jax.config.update(LEAST, given)
        monkeypatch.setenv(LEAST.upper(), str(given))
        chosen(tmp_path)
        assert jax.config.values[LEAST] == given
    jax.config.update("jax_compilation_cache_dir", "/mine")
    assert chosen(tmp_path) is None
    assert jax.config.values["jax_compilation_cache_dir"] == "/mine"


def test_programs_of_jax_beyond_the_limit_go_the_longest_unused_first(chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(compile_cache, "_MOST_BYTES", 250)
    for index in range(4):
        (tmp_path / f"jit_{index}-cache").write_bytes(bytes(100))
        os.utime(tmp_path / f"jit_{index}-cache", (9 - index, 0))  # read, written
    (tmp_path / "notes.txt").write_bytes(bytes(999))
    jax.config.update(LIMIT, 1000)
    chosen(tmp_path)
    assert len(list(tmp_path.iterdir())) == 5  # the user's own limit is JAX's affair
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update(LIMIT, -1)
    chosen(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["jit_0-cache", "jit_1-cache", "notes.txt"]
