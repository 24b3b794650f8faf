"""Small helpers on nested dicts of arrays ("trees"), with paths written `0_dense/W`."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "add",
    "all_finite",
    "cast",
    "count",
    "differences",
    "flatten",
    "floating",
    "global_norm",
    "inner",
    "listed",
    "listing",
    "map_matching",
    "matches",
    "nbytes",
    "nested",
    "path_name",
    "precision",
    "tupled",
    "unflatten",
    "wide_dtype",
    "zeros_like",
]


def path_name(path: tuple[Any, ...]) -> str:
    """`0_dense/W` for a key path of `jax.tree_util`."""
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def flatten(tree: Any) -> dict[str, Any]:
    """Every array by its path, in JAX's order (dict keys sorted)."""
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def unflatten(arrays: dict[str, Any], template: Any) -> Any:
    """The tree of `template`'s structure whose leaves are taken from `arrays` by path."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    return jax.tree_util.tree_unflatten(structure, [arrays[path_name(path)] for path, _ in leaves])


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Nested dicts from arrays by path: the inverse of `flatten` for trees of dicts."""
    result: dict[str, Any] = {}
    for path, leaf in flat.items():
        *parents, last = path.split("/")
        inside = result
        for name in parents:
            inside = inside.setdefault(name, {})
        inside[last] = leaf
    return result


def listed(value: Any) -> Any:
    """Tuples as lists, inside too, as JSON has them."""
    return [listed(entry) for entry in value] if isinstance(value, (tuple, list)) else value


def tupled(value: Any) -> Any:
    """Lists as tuples, inside too."""
    return tuple(tupled(entry) for entry in value) if isinstance(value, (tuple, list)) else value


def matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern: `W*` looks at the last name, `0_dense/*` at the whole path."""
    subject = path if "/" in pattern else path.rsplit("/", 1)[-1]
    return fnmatch.fnmatchcase(subject, pattern)


def listing(paths: Iterable[str], pattern: str) -> str:
    """The tail of a message about a pattern that fits none of these paths: all of them, or the pattern of a layer."""
    paths, layer = list(paths), f"{pattern.strip('*/')}/"
    inside = any(path.startswith(layer) for path in paths)
    return f"all arrays of a layer are {layer + '*'!r}." if inside else f"there are {', '.join(paths)}."


def map_matching(function: Callable[..., Any], pattern: str, tree: Any, *rest: Any) -> Any:
    """`function` on the leaves whose path fits `pattern`; the other leaves of `tree` unchanged."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf, *others: function(leaf, *others) if matches(path_name(path), pattern) else leaf,
        tree,
        *rest,
    )


def add(a: Any, b: Any) -> Any:
    """Leaf by leaf sum."""
    return jax.tree.map(jnp.add, a, b)


def zeros_like(tree: Any) -> Any:
    """Zeros of the same structure, shapes and dtypes."""
    return jax.tree.map(jnp.zeros_like, tree)


def inner(a: jax.Array, b: jax.Array) -> jax.Array:
    """Σ aᵢ bᵢ over all entries, as a product: on a CPU, XLA makes a sum over everything one number after the other."""
    return jnp.vdot(a, b, precision="highest")


def global_norm(tree: Any) -> jax.Array:
    """sqrt of the sum of all squared entries of all leaves: the norm over ALL parameters."""
    squares = [inner(leaf, leaf) for leaf in jax.tree.leaves(tree)]
    return jnp.sqrt(sum(squares, start=jnp.zeros((), squares[0].dtype if squares else jnp.float32)))


def all_finite(tree: Any) -> jax.Array:
    """True when no floating-point leaf holds a NaN or an infinity."""
    flags = [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.all(jnp.stack(flags)) if flags else jnp.array(True)


def cast(tree: Any, dtype: Any) -> Any:
    """Floating-point leaves in another precision; integers, booleans and random keys untouched."""
    return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def floating(x: jax.Array) -> jax.Array:
    """Floating-point numbers as they are, others in the default precision."""
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jax.dtypes.canonicalize_dtype(float))


def wide_dtype(dtype: Any) -> np.dtype[Any]:
    """The precision to compute in for numbers of `dtype`: its own, float32 at least; bfloat16 has too few digits."""
    return np.dtype(np.float32) if jnp.finfo(dtype).bits < 32 else np.dtype(dtype)


def precision(tree: Any) -> Any:
    """The dtype that all floating-point leaves together have, by promotion; None where there are none."""
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating)}
    return jnp.result_type(*dtypes) if dtypes else None


def count(tree: Any) -> int:
    """How many numbers a tree holds."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def nbytes(tree: Any) -> int:
    """How many bytes a tree's arrays take (works on shapes from `jax.eval_shape` too)."""
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def differences(got: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Every missing, extra and misshapen array, in words."""
    problems = [f"{path} is missing" for path in wanted if path not in got]
    problems += [f"{path} is extra" for path in got if path not in wanted]
    return problems + [
        f"{path} has shape {tuple(got[path].shape)} instead of {tuple(wanted[path].shape)}"
        for path in wanted
        if path in got and tuple(got[path].shape) != tuple(wanted[path].shape)
    ]
