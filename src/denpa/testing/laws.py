"""The laws that every layer must pass, checked by one call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from denpa.core import tree
from denpa.core.description import from_config, to_config
from denpa.core.layer import Context, Layer
from denpa.networks.base import shape_of_inputs
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
        batch: how many examples.
        seed: draws parameters, inputs and deltas.
        inputs: (generator of NumPy, shape) -> array, where standard normal inputs will not do; keep away from kinks.
        differentiable: False for layers whose backward is by convention, not by derivative.
        separable: False where samples of a batch depend on each other even in inference.

    Raises:
        LawError: the first law that is broken.
    """
    shapes = shape_of_inputs(in_shape)
    draw = inputs or (lambda rng, shape: rng.standard_normal(shape))
    passed = ["round trip"]
    _round_trip(layer)
    with jax.enable_x64(True):
        case = _Case(layer, shapes, batch, seed, draw, jnp.float64)
        case.init_law()
        case.out_shape_law()
        passed += ["init", "out_shape"]
        for train in (True, False):
            mode = "training" if train else "inference"
            case.structure_law(train)
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
        _Case(layer, shapes, batch, seed, draw, dtype).structure_law(True)
        passed.append(f"precision kept, {jnp.dtype(dtype).name}")
    return passed


def _round_trip(layer: Layer) -> None:
    again = from_config(json.loads(json.dumps(to_config(layer))))
    _insist(again == layer and hash(again) == hash(layer), "round trip", f"{layer!r} came back as {again!r}")


class _Case:
    """One layer with random parameters, inputs and deltas in one precision."""

    def __init__(self, layer: Layer, shapes: Any, batch: int, seed: int, draw: Inputs, dtype: Any) -> None:
        self.layer, self.shapes, self.batch, self.dtype = layer, shapes, batch, dtype
        # NumPy draws, since every new shape would cost a compilation of jax.random.
        self.rng, self.key = np.random.default_rng(seed), jax.random.key(seed)
        self.many = isinstance(shapes[0], tuple) if shapes else False
        wanted = shapes if self.many else (shapes,)
        arrays = [_drawn(draw(self.rng, (batch, *shape)), dtype) for shape in wanted]
        self.x = tuple(arrays) if self.many else arrays[0]
        # Asymmetric random parameters around the initial ones: zeros and ones would hide mistakes.
        fresh = layer.init_params(self.key, shapes)
        self.params = jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + 0.3 * self.drawn(a.shape), dtype), fresh)
        self.state = tree.cast(layer.init_state(shapes), dtype)

    def drawn(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.standard_normal(shape)

    def context(self, train: bool) -> Context:
        return Context(train, self.key if train else None, self.state)

    def forward(self, train: bool, params: Any = None, x: Any = None) -> tuple[Any, Any]:
        params = self.params if params is None else params
        return self.layer.forward(params, self.x if x is None else x, self.context(train))

    def deltas(self, y: Any) -> Any:
        return jax.tree.map(lambda a: jnp.asarray(self.drawn(a.shape), a.dtype), y)

    def init_law(self) -> None:
        once, twice = (self.layer.init_params(jax.random.key(7), self.shapes) for _ in range(2))
        _agree(once, twice, 0.0, "init", "is not the same for the same key")

    def out_shape_law(self) -> None:
        y, _ = self.forward(False)
        told = self.layer.out_shape(self.shapes)
        got = jax.tree.map(lambda leaf: leaf.shape[1:], y)
        _insist(told == got, "out_shape", f"{self.layer!r} says {told} but gives {got}")

    def structure_law(self, train: bool) -> None:
        law = f"structure, {self.dtype.__name__}"
        y, saved = self.forward(train)
        for leaf in jax.tree.leaves(y):
            _insist(leaf.dtype == self.dtype, law, f"{self.layer!r} returns {leaf.dtype} for {self.dtype.__name__}")
        dx, grads = self.layer.backward(self.params, saved, self.deltas(y))
        for what, got, like in (("grads", grads, self.params), ("dx", dx, self.x)):
            same = jax.tree.structure(got) == jax.tree.structure(like)
            _insist(same, law, f"{what} of {self.layer!r} have structure {jax.tree.structure(got)}")
            described = [(a.shape, a.dtype) for a in jax.tree.leaves(got)]
            wanted = [(a.shape, a.dtype) for a in jax.tree.leaves(like)]
            _insist(described == wanted, law, f"{what} of {self.layer!r} are {described}, not {wanted}")

    def linear_law(self, train: bool) -> None:
        y, saved = self.forward(train)
        one, two = self.deltas(y), self.deltas(y)
        both = jax.tree.map(lambda a, b: 2.0 * a - 3.0 * b, one, two)
        apart = [self.layer.backward(self.params, saved, dy) for dy in (one, two)]
        # A layer that adds to the objective hands down a delta of its own even where none arrives.
        own = self.layer.backward(self.params, saved, jax.tree.map(jnp.zeros_like, one))
        if isinstance(self.layer.cost(saved), (int, float)):
            own = jax.tree.map(jnp.zeros_like, own)
        expected = jax.tree.map(
            lambda a, b, c: 2.0 * a - 3.0 * b + 2.0 * c if _moves(a) else jnp.zeros_like(a), *apart, own
        )
        _agree(self.layer.backward(self.params, saved, both), expected, 1e-10, "linear in dy", "is not linear in dy")

    def jit_law(self, train: bool) -> None:
        traced = []

        def run(params: Any, x: Any, ctx: Context, dy: Any) -> Any:
            traced.append(1)
            y, saved = self.layer.forward(params, x, ctx)
            return y, self.layer.backward(params, saved, dy)

        y, saved = self.forward(train)
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

        (y, cost), backward = oracle.pull_back(objective, self.params, self.x)
        dy = self.deltas(y)
        grads, dx = backward((dy, jnp.ones_like(cost)))
        dx = jax.tree.map(lambda d, a: d if _moves(a) else jnp.zeros_like(a), dx, self.x)
        ours = self.layer.backward(self.params, self.forward(train)[1], dy)
        _agree(ours, (dx, grads), 1e-10, "autodiff", "differs from jax.vjp")

    def difference_law(self, train: bool) -> None:
        y, saved = self.forward(train)
        dy = self.deltas(y)
        dx, grads = self.layer.backward(self.params, saved, dy)
        towards = self.deltas((self.params, self.x))

        def energy(step: float) -> jax.Array:
            moved = jax.tree.map(lambda a, d: a + step * d if _moves(a) else a, (self.params, self.x), towards)
            params, x = moved
            y, saved = self.forward(train, params, x)
            return _dot(y, dy) + self.layer.cost(saved)

        epsilon = 1e-5
        slope = (energy(epsilon) - energy(-epsilon)) / (2 * epsilon)
        expected, size = (
            _dot((grads, dx), towards),
            _dot(jax.tree.map(jnp.abs, (grads, dx)), jax.tree.map(jnp.abs, towards)),
        )
        off = float(jnp.abs(slope - expected) / jnp.maximum(size, 1e-8))
        _insist(off < 1e-6, "central differences", f"{self.layer!r} is off by {off:.1e} along a random direction")

    def separable_law(self) -> None:
        together = jax.tree.leaves(self.forward(False)[0])
        for index in range(self.batch):
            alone = self.forward(False, x=jax.tree.map(lambda a, i=index: a[i : i + 1], self.x))[0]
            rows = [leaf[index : index + 1] for leaf in together]
            _agree(jax.tree.leaves(alone), rows, 1e-12, "separate samples", "depends on the other samples in inference")

    def state_law(self) -> None:
        _, saved = self.forward(True)
        after = self.layer.next_state(self.state, saved)
        same = jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(
            lambda a: (a.shape, a.dtype), self.state
        )
        _insist(same, "next_state", f"{self.layer!r} changes the structure of its state")


def _dot(a: Any, b: Any) -> jax.Array:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum((jnp.sum(p * q) for p, q in pairs if _moves(p)), jnp.zeros(()))


def _moves(a: Any) -> bool:
    """Whether an array can be moved a little: integers, such as word numbers, cannot."""
    return jnp.issubdtype(a.dtype, jnp.floating)


def _drawn(drawn: np.ndarray, dtype: Any) -> jax.Array:
    return jnp.asarray(drawn, dtype if _moves(drawn) else None)


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
