"""Nested dicts of arrays: paths, patterns, sums."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.core import tree


class Pair(NamedTuple):
    first: object
    second: object


@pytest.fixture
def params():
    rng = np.random.default_rng(3)
    shapes = {"0_dense": {"W": (2, 3), "b": (3,)}, "block": {"1_lstm": {"Wx": (3, 4), "Wh": (1, 4), "b": (4,)}}}
    return jax.tree.map(
        lambda s: jnp.asarray(rng.normal(size=s), jnp.float32), shapes, is_leaf=lambda s: isinstance(s, tuple)
    )


def test_paths_and_back(params):
    flat = tree.flatten(params)
    assert list(flat) == ["0_dense/W", "0_dense/b", "block/1_lstm/Wh", "block/1_lstm/Wx", "block/1_lstm/b"]
    assert flat["block/1_lstm/Wx"] is params["block"]["1_lstm"]["Wx"]
    assert jax.tree.structure(tree.nested(flat)) == jax.tree.structure(params)
    again = tree.unflatten(dict(reversed(flat.items())), params)
    assert all(a is b for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(params), strict=True))


def test_paths_of_tuples_and_named_tuples():
    assert list(tree.flatten(Pair({"a": 1.0}, [2.0, (3.0,)]))) == ["first/a", "second/0", "second/1/0"]
    assert tree.flatten(1.0) == {"": 1.0}


def test_patterns_look_at_the_last_name_or_the_whole_path():
    assert tree.matches("0_dense/W", "W*")
    assert tree.matches("a/1_lstm/Wh", "W*")
    assert not tree.matches("0_dense/b", "W*")
    assert not tree.matches("0_dense/w", "W*")
    assert not tree.matches("W/b", "W*")
    assert tree.matches("0_dense/b", "0_dense/*")
    assert not tree.matches("block/0_dense/b", "0_dense/*")


def test_map_matching_leaves_the_others_alone(params):
    doubled = tree.map_matching(lambda w, other: 2 * w + other, "W*", params, tree.zeros_like(params))
    for path, leaf in tree.flatten(doubled).items():
        factor = 2 if path.rsplit("/", 1)[-1].startswith("W") else 1
        np.testing.assert_array_equal(leaf, factor * tree.flatten(params)[path])


def test_norm_and_count_and_bytes_are_over_all_leaves(params):
    numbers = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])
    np.testing.assert_allclose(tree.global_norm(params), np.linalg.norm(numbers), rtol=1e-6)
    assert tree.global_norm({}) == 0
    assert tree.count(params) == numbers.size == 6 + 3 + 12 + 4 + 4
    assert tree.nbytes(params) == 4 * numbers.size
    assert tree.nbytes(jax.eval_shape(lambda: params)) == 4 * numbers.size
    assert tree.count({"scalar": jnp.zeros(())}) == 1


def test_add_and_zeros(params):
    total = tree.add(params, params)
    np.testing.assert_array_equal(total["0_dense"]["b"], 2 * params["0_dense"]["b"])
    assert all(not leaf.any() for leaf in jax.tree.leaves(tree.zeros_like(params)))


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_all_finite_looks_at_every_float(params, bad):
    assert tree.all_finite(params)
    assert tree.all_finite({})
    assert tree.all_finite({"n": jnp.arange(3), "key": jax.random.key(0)})
    for path in tree.flatten(params):
        broken = tree.map_matching(lambda w: w.at[(0,) * w.ndim].set(bad), path, params)
        assert not tree.all_finite(broken)


def test_cast_moves_floats_only():
    key = jax.random.key(1)
    cast = tree.cast({"w": jnp.ones(2), "n": jnp.arange(2), "mask": jnp.array([True]), "key": key}, jnp.bfloat16)
    assert [cast[name].dtype for name in ("w", "n", "mask")] == [jnp.bfloat16, jnp.int32, jnp.bool_]
    assert cast["key"].dtype == key.dtype


def test_lists_and_tuples():
    assert tree.listed(((2, 3), 4)) == [[2, 3], 4]
    assert tree.tupled([[2, 3], 4]) == ((2, 3), 4)
    assert tree.listed(None) is None
    assert tree.tupled("ab") == "ab"
