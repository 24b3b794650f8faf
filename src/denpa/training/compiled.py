"""How a recipe's functions are compiled: by which kernels, and with XLA's defaults where these are fast."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
from collections.abc import Callable
from typing import Any

import jax

from denpa.kernels import settings
from denpa.training.kept import Kept

__all__ = ["compiled", "compiled_once", "compiled_training", "give_back_memory", "has_small_products"]

# On a CPU, XLA gives products and sums to the library YNN, whose threads find together too slowly for small ones:
# 784-100-10 takes 0.40 ms a step without it and 0.51 with it, 784-1024-1024-10 takes 14 without it and 10 with it.
_SMALL = 1 << 17  # numbers in the largest array of parameters
_WITHOUT_YNN = {"xla_cpu_experimental_ynn_fusion_type": ""}
# What computes them then wakes a second thread for each, which takes longer than a tiny product does: 12-3-2 in batches
# of 100 takes 12.4 µs a step with it and 10.8 without, 4-16-3 in batches of 16 takes 11.9 and 7.8, 64-32-10 in batches
# of 32 takes 20.5 and 17.4, but 64-100-10 in batches of 100 takes 69 and 79.
_TINY = 1 << 16  # multiplications in the largest product
_WITH_ONE_THREAD = {**_WITHOUT_YNN, "xla_cpu_multi_thread_eigen": False}
# Of what runs once the compiler takes most of the time: the initial parameters of 784-128-77-10 take 0.72 s to compile
# and 1.0 ms to draw, and by this 0.29 s and 1.3 ms: the same numbers, with XLA of JAX 0.12 but for their last bits.
_IN_HASTE = {"xla_backend_optimization_level": 1}


def compiled(function: Callable[..., Any], kernels: str, *told: Any, static_argnums: tuple[int, ...] = ()) -> Any:
    """The function as a program in which these kernels compute convolutions and recurrent layers.

    Where it is told what decides, beside the arguments' kinds, what is computed, the program is kept on disk.
    """
    jitted = jax.jit(_with_kernels(function, kernels), static_argnums=static_argnums)
    return Kept(jitted, function.__qualname__, kernels, *told) if told else jitted


def compiled_once(function: Callable[..., Any], *told: Any, static_argnums: tuple[int, ...] = ()) -> Any:
    """The function as a program that was compiled in haste, since it runs once; kept on disk where it is told."""
    known = not any(option in os.environ.get("XLA_FLAGS", "") for option in _IN_HASTE)  # the caller's own wish

    def compiled_by(options: dict[str, Any]) -> Callable[..., Any]:
        jitted = jax.jit(function, static_argnums=static_argnums, compiler_options=options)
        return Kept(jitted, function.__qualname__, str(options), *told) if told else jitted

    quick, plain = map(compiled_by, (_IN_HASTE, {}))

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        nonlocal known
        if known and jax.default_backend() == "cpu":
            try:
                return quick(*args)
            except jax.errors.JaxRuntimeError as error:
                _want_unknown(error, _IN_HASTE)
                known = False
        return plain(*args)

    return call


def compiled_training(
    function: Callable[..., Any], kernels: str, *told: Any, rows: Callable[..., int]
) -> Callable[..., Any]:
    """The same of `function(run, ...)`, compiled as suits the size of its products.

    It may not be called inside another compiled function. What the compiler needed and freed goes back to the system.

    Args:
        function: its first argument is a `Run`, or stacked ones.
        kernels, told: as for `compiled`.
        rows: how many rows the products of a step have, from the arguments behind the run.
    """
    within, known, traced = _with_kernels(function, kernels), True, 0

    def noted(*args: Any) -> Any:
        nonlocal traced
        traced += 1
        return within(*args)

    def compiled_by(options: dict[str, Any]) -> Callable[..., Any]:
        jitted = jax.jit(noted, compiler_options=options)
        return Kept(jitted, function.__qualname__, kernels, str(options), *told) if told else jitted

    plain, small, tiny = map(compiled_by, ({}, _WITHOUT_YNN, _WITH_ONE_THREAD))

    def chosen(run: Any, *args: Any) -> Any:
        nonlocal known
        if known and has_small_products(run):
            try:
                return (tiny if rows(*args) * _largest(run) <= _TINY else small)(run, *args)
            except jax.errors.JaxRuntimeError as error:
                _want_unknown(error, {**_WITHOUT_YNN, **_WITH_ONE_THREAD})
                known = False
        return plain(run, *args)

    @functools.wraps(function)
    def call(run: Any, *args: Any) -> Any:
        before = traced
        result = chosen(run, *args)
        if traced > before:
            give_back_memory()
        return result

    return call


def give_back_memory() -> None:
    """Hand what was freed back to the system, in some milliseconds.

    The C library keeps it for later, by thread: after a compilation about 100 MiB, which no later step would use, and
    between chunks of steps as much as the arrays of some of them, which come and go with other threads.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # only the GNU C library has a call for it
        ctypes.CDLL(None).malloc_trim(0)


def _want_unknown(error: Exception, options: dict[str, Any]) -> None:
    """Raise the error again unless it says that XLA does not know one of these options any more."""
    if not any(option in str(error) for option in options):
        raise error


def _with_kernels(function: Callable[..., Any], kernels: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def traced(*args: Any) -> Any:
        with settings.using(kernels):
            return function(*args)

    return traced


def has_small_products(run: Any) -> bool:
    """Whether the products of a run on a CPU are too small to be shared by threads."""
    return _largest(run) < _SMALL and jax.default_backend() == "cpu"


def _largest(run: Any) -> int:
    """Numbers in the largest array of parameters; of members, whose arrays and steps are stacked, in that of each."""
    stacked = len(run.step.shape)
    return max((math.prod(array.shape[stacked:]) for array in jax.tree.leaves(run.params)), default=0)
