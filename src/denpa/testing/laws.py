"""The laws that every layer must pass, checked by one call."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.description import from_config, to_config
from denpa.core.errors import ConfigError
from denpa.core.layer import Context, Layer
from denpa.data.arguments import as_flag, as_whole
from denpa.networks.inputs import shape_of_inputs
from denpa.testing import oracle

__all__ = ["LawError", "check_layer"]

Inputs = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class LawError(AssertionError):
    """A layer breaks a law of the contract; the message names the law and the array."""


def check_layer(
    layer: Layer,
    in_shape: Any,
    *,
    batch: int = 5,
    seed: int = 0,
    inputs: Inputs | None = None,
    differentiable: bool = True,
    separable: bool = True,
) -> list[str]:
    """Check a layer against the contract; return the names of the laws that it passed.

    In float64: backward against `jax.vjp` (1e-10, scaled by the largest gradient) and against a
    central difference in a random direction (1e-6), in training and inference; backward linear in
    dy; gradients shaped like parameters, dx like x; compiled = eager; no second compilation. In
    float32 and bfloat16: the precision is kept. Besides: the description survives JSON, `init`
    depends on its key alone, `out_shape` tells the truth, and in inference a sample's output does
    not depend on the other samples.

    Args:
        layer: the layer or network.
        in_shape: shape of one example, or a tuple of shapes for a layer of several inputs.
        batch: how many examples, 1 at least.
        seed: draws parameters, inputs and deltas.
        inputs: (generator of NumPy, shape) -> array, where standard normal inputs will not do; keep away from kinks.
        differentiable: False for layers whose backward is by convention, not by derivative.
        separable: False where samples of a batch depend on each other even in inference.

    Raises:
        LawError: the first law that is broken.
        ConfigError: no layer, a batch without examples, or an option of another kind.
        ShapeError: `in_shape` is no shape, or none that the layer takes.
    """
    if not isinstance(layer, Layer):
        hint = f" Did you forget the brackets? {layer.__name__}(...)" if isinstance(layer, type) else ""
        raise ConfigError(f"check_layer wants a layer, such as dp.Dense(3), not {layer!r}.{hint}")
    as_whole(batch, "batch", 1)
    as_whole(seed, "seed", 0, 2**32 - 1)
    as_flag(differentiable, "differentiable")
    as_flag(separable, "separable")
    shapes = shape_of_inputs(in_shape)
    draw = inputs or (lambda rng, shape: rng.standard_normal(shape))
    passed = ["round trip"]
    _round_trip(layer)
    with jax.enable_x64(True):
        case = _Case(layer, shapes, batch, seed, draw)
        case.init_law()
        case.out_shape_law()
        passed += ["init", "out_shape"]
        for train in (True, False):
            mode = "training" if train else "inference"
            _structure_law(layer, case.described(), train)
            case.linear_law(train)
            case.jit_law(train)
            passed += [f"{law}, {mode}" for law in ("structure", "linear in dy", "jit = eager")]
            if differentiable:
                case.autodiff_law(train)
                case.difference_law(train)
                passed += [f"{law}, {mode}" for law in ("autodiff", "central differences")]
        if separable:
            case.separable_law()
            passed.append("samples are separate in inference")
        case.state_law()
        passed.append("next_state")
    for dtype in (jnp.float32, jnp.bfloat16):
        _structure_law(layer, case.described(dtype), True)
        passed.append(f"precision kept, {jnp.dtype(dtype).name}")
    return passed


def _round_trip(layer: Layer) -> None:
    again = from_config(json.loads(json.dumps(to_config(layer))))
    _insist(again == layer and hash(again) == hash(layer), "round trip", f"{layer!r} came back as {again!r}")


class _Case:
    """One layer with random parameters, inputs and deltas in float64.

    NumPy draws and computes what stands around the layer, for JAX would compile each small step.
    """

    def __init__(self, layer: Layer, shapes: Any, batch: int, seed: int, draw: Inputs) -> None:
        self.layer, self.shapes, self.batch = layer, shapes, batch
        self.rng, self.key = np.random.default_rng(seed), jax.random.key(seed)
        many = isinstance(shapes[0], tuple) if shapes else False
        arrays = [_drawn(draw(self.rng, (batch, *shape))) for shape in (shapes if many else (shapes,))]
        self.x = tuple(arrays) if many else arrays[0]
        # Asymmetric random parameters around the initial ones: zeros and ones would hide mistakes.
        self.fresh = layer.init_params(self.key, shapes)
        self.params = jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + 0.3 * self.drawn(a.shape)), self.fresh)
        self.state = tree.cast(layer.init_state(shapes), jnp.float64)
        self.compiled = {train: jax.jit(functools.partial(self.both, train)) for train in (True, False)}

    def drawn(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.standard_normal(shape)

    def context(self, train: bool) -> Context:
        return Context(train, self.key if train else None, self.state)

    def forward(self, train: bool, params: Any, x: Any) -> tuple[Any, Any]:
        return self.layer.forward(params, x, self.context(train))

    def both(self, train: bool, params: Any, x: Any, dy: Any) -> Any:
        """Output, dx, gradients and cost."""
        y, saved = self.forward(train, params, x)
        dx, grads = self.layer.backward(params, saved, dy)
        return y, dx, grads, self.layer.cost(saved)

    def deltas(self, like: Any) -> Any:
        return jax.tree.map(lambda a: jnp.asarray(self.drawn(a.shape), a.dtype), like)

    def output(self, train: bool) -> Any:
        """What an output looks like: shapes and dtypes."""
        return jax.eval_shape(lambda: self.forward(train, self.params, self.x)[0])

    def described(self, dtype: Any = jnp.float64) -> tuple[Any, Any, Any]:
        """Parameters, inputs and state as shapes and dtypes, in another precision."""

        def abstract(a: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(a.shape, dtype if _moves(a) else jax.dtypes.canonicalize_dtype(a.dtype))

        return jax.tree.map(abstract, (self.params, self.x, self.state))

    def init_law(self) -> None:
        again = self.layer.init_params(self.key, self.shapes)
        _agree(self.fresh, again, 0.0, "init", "is not the same for the same key")

    def out_shape_law(self) -> None:
        told = self.layer.out_shape(self.shapes)
        got = jax.tree.map(lambda leaf: leaf.shape[1:], self.output(False))
        _insist(told == got, "out_shape", f"{self.layer!r} says {told} but gives {got}")

    def linear_law(self, train: bool) -> None:
        one, two = (self.deltas(self.output(train)) for _ in range(2))
        mixed = jax.tree.map(lambda a, b: jnp.asarray(2.0 * np.asarray(a) - 3.0 * np.asarray(b)), one, two)

        def pulled(dy: Any) -> Any:
            return self.compiled[train](self.params, self.x, dy)[1:3]

        # A layer that adds to the objective hands down a delta of its own even where none arrives.
        own = pulled(jax.tree.map(lambda a: jnp.asarray(np.zeros(a.shape)), one))
        if not self.costs(train):
            own = jax.tree.map(lambda a: np.zeros(a.shape), own)
        expected = jax.tree.map(
            lambda a, b, c: 2.0 * _array(a) - 3.0 * _array(b) + 2.0 * _array(c) if _moves(a) else np.zeros(a.shape),
            *(pulled(one), pulled(two), own),
        )
        _agree(pulled(mixed), expected, 1e-10, "linear in dy", "is not linear in dy")

    def costs(self, train: bool) -> bool:
        """Whether the layer adds to the objective."""
        return any(leaf.shape == () and _moves(leaf) for leaf in jax.tree.leaves(self._cost(train)))

    def _cost(self, train: bool) -> Any:
        seen: list[Any] = []
        jax.eval_shape(lambda: seen.append(self.layer.cost(self.forward(train, self.params, self.x)[1])))
        return [] if isinstance(seen[0], (int, float)) else jax.ShapeDtypeStruct(seen[0].shape, seen[0].dtype)

    def jit_law(self, train: bool) -> None:
        traced = []

        def run(params: Any, x: Any, ctx: Context, dy: Any) -> Any:
            traced.append(1)
            y, saved = self.layer.forward(params, x, ctx)
            return y, self.layer.backward(params, saved, dy)

        y, saved = self.forward(train, self.params, self.x)
        dy, compiled = self.deltas(y), jax.jit(run)
        eager = (y, self.layer.backward(self.params, saved, dy))
        compiled(self.params, self.x, self.context(train), dy)
        again = compiled(self.params, self.x, self.context(train), dy)
        _agree(again, eager, 1e-12, "jit = eager", "differs between jit and eager")
        _insist(len(traced) == 1, "one compilation", f"{self.layer!r} was traced {len(traced)} times for one shape")

    def autodiff_law(self, train: bool) -> None:
        def objective(params: Any, x: Any) -> Any:
            y, saved = self.forward(train, params, x)
            return y, jnp.asarray(self.layer.cost(saved), jnp.float64)

        @jax.jit
        def automatic(params: Any, x: Any, dy: Any) -> Any:
            (_, cost), backward = oracle.pull_back(objective, params, x)
            return backward((dy, jnp.ones_like(cost)))

        dy = self.deltas(self.output(train))
        grads, dx = automatic(self.params, self.x, dy)
        dx = jax.tree.map(lambda d, a: d if _moves(a) else np.zeros(a.shape), dx, self.x)
        ours = self.compiled[train](self.params, self.x, dy)
        for (path, value), (_, automatic_value) in zip(_flat(ours[1:3]), _flat((dx, grads)), strict=True):
            _insist(
                not np.any(np.isfinite(value) & ~np.isfinite(automatic_value)),
                "autodiff",
                f"jax.vjp has no number for array {path!r} where backward has one; the forward of {self.layer!r} goes "
                "through a point without a derivative, such as a root of 0, so that nothing can be compared",
            )
        _agree(ours[1:3], (dx, grads), 1e-10, "autodiff", "differs from jax.vjp")

    def difference_law(self, train: bool) -> None:
        dy = self.deltas(self.output(train))
        _, dx, grads, _ = self.compiled[train](self.params, self.x, dy)
        towards = jax.tree.map(lambda a: self.drawn(a.shape), (self.params, self.x))

        def energy(step: float) -> float:
            moved = jax.tree.map(
                lambda a, d: jnp.asarray(_array(a) + step * d) if _moves(a) else a, (self.params, self.x), towards
            )
            y, _, _, cost = self.compiled[train](*moved, dy)
            return _dot(y, dy) + float(cost)

        epsilon = 1e-5
        slope = (energy(epsilon) - energy(-epsilon)) / (2 * epsilon)
        expected = _dot((grads, dx), towards)
        size = _dot(jax.tree.map(np.abs, (grads, dx)), jax.tree.map(np.abs, towards))
        off = abs(slope - expected) / max(size, 1e-8)
        _insist(off < 1e-6, "central differences", f"{self.layer!r} is off by {off:.1e} along a random direction")

    def separable_law(self) -> None:
        output = jax.jit(lambda x: self.forward(False, self.params, x)[0])
        together = jax.tree.leaves(output(self.x))
        for index in range(self.batch):
            alone = output(jax.tree.map(lambda a, i=index: jnp.asarray(np.asarray(a)[i : i + 1]), self.x))
            rows = [np.asarray(leaf)[index : index + 1] for leaf in together]
            _agree(jax.tree.leaves(alone), rows, 1e-12, "separate samples", "depends on the other samples in inference")

    def state_law(self) -> None:
        after = jax.eval_shape(lambda: self.layer.next_state(self.state, self.forward(True, self.params, self.x)[1]))
        told, wanted = ([(a.shape, a.dtype) for a in jax.tree.leaves(found)] for found in (after, self.state))
        same = told == wanted and jax.tree.structure(after) == jax.tree.structure(self.state)
        _insist(same, "next_state", f"{self.layer!r} changes the structure of its state")


def _structure_law(layer: Layer, described: tuple[Any, Any, Any], train: bool) -> None:
    """Outputs, gradients and dx have the shapes and the precision of what they belong to; nothing is computed."""
    params, x, state = described
    dtype = next((leaf.dtype for leaf in jax.tree.leaves((params, x)) if _moves(leaf)), jnp.dtype(jnp.float32))
    law = f"structure, {dtype.name}"

    def both(params: Any, x: Any, state: Any) -> Any:
        y, saved = layer.forward(params, x, Context(train, jax.random.key(0) if train else None, state))
        return y, *layer.backward(params, saved, jax.tree.map(jnp.ones_like, y))

    y, dx, grads = jax.eval_shape(both, params, x, state)
    for leaf in jax.tree.leaves(y):
        _insist(leaf.dtype == dtype, law, f"{layer!r} returns {leaf.dtype} for {dtype.name}")
    for what, got, like in (("grads", grads, params), ("dx", dx, x)):
        same = jax.tree.structure(got) == jax.tree.structure(like)
        _insist(same, law, f"{what} of {layer!r} have structure {jax.tree.structure(got)}")
        found = [(a.shape, a.dtype) for a in jax.tree.leaves(got)]
        wanted = [(a.shape, a.dtype) for a in jax.tree.leaves(like)]
        _insist(found == wanted, law, f"{what} of {layer!r} are {found}, not {wanted}")


def _dot(a: Any, b: Any) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return float(sum(np.sum(np.asarray(p) * np.asarray(q)) for p, q in pairs if _moves(p)))


def _moves(a: Any) -> bool:
    """Whether an array can be moved a little: integers, such as word numbers, cannot."""
    return jnp.issubdtype(a.dtype, jnp.floating)


def _drawn(drawn: np.ndarray) -> jax.Array:
    return jnp.asarray(drawn, jnp.float64 if _moves(drawn) else None)


def _array(a: Any) -> np.ndarray:
    return np.asarray(a, np.float64)


def _flat(arrays: Any) -> Iterator[tuple[str, np.ndarray]]:
    for path, leaf in tree.flatten(arrays).items():
        yield path, np.asarray(leaf, np.float64)


def _agree(ours: Any, theirs: Any, tolerance: float, law: str, complaint: str) -> None:
    theirs_flat = dict(_flat(theirs))
    scale = max((float(np.max(np.abs(a), initial=0.0)) for a in theirs_flat.values()), default=0.0) or 1.0
    for path, value in _flat(ours):
        off = np.abs(value - theirs_flat[path]) / scale
        if not np.all(off <= tolerance):
            index = tuple(int(i) for i in np.unravel_index(np.argmax(off), off.shape))  # the first NaN, if any
            raise LawError(f"{law}: array {path!r} {complaint}, by up to {off[index]:.1e} of the largest, at {index}.")


def _insist(holds: bool, law: str, complaint: str) -> None:
    if not holds:
        raise LawError(f"{law}: {complaint}.")
