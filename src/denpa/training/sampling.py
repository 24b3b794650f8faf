"""Text out of a language model: each token is drawn from what the model expects after all those before it.

    p_k = exp(z_k / τ) / Σ_j exp(z_j / τ)      z: the logits of the last step, τ: the temperature

τ = 1 draws as the model expects, a smaller one keeps to what is likely, τ = 0 always takes the likeliest (greedy).
With `top_k` only the k likeliest tokens are left, and their probabilities are scaled up to 1.

The whole text is one compiled scan. What it carries from step to step is data: the recurrent layers' carry, and the
token to be read next.

Source: Graves (2013), "Generating sequences with recurrent neural networks"; the temperature is that of Ackley,
Hinton & Sejnowski (1985); top-k of Fan, Lewis & Dauphin (2018), "Hierarchical neural story generation".
"""

from __future__ import annotations

import functools
import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from denpa.core.errors import ConfigError, DataError
from denpa.core.layer import Context
from denpa.data.arguments import as_whole
from denpa.data.vocabulary import Vocabulary
from denpa.kernels import settings
from denpa.networks.carried import with_carry
from denpa.training.arguments import wanted_seed
from denpa.training.compile_cache import use_compile_cache
from denpa.training.model import Model
from denpa.training.single_steps import want_single_steps

__all__ = ["sample"]


def sample(
    model: Model,
    vocabulary: Vocabulary,
    prompt: str,
    length: int = 200,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> str:
    """The text that a model writes after `prompt`; the prompt itself is not in it.

    Args:
        model: a trained language model: token numbers (batch, time) -> logits (batch, time, tokens).
        vocabulary: the tokens, those that the model was trained with.
        prompt: what the model reads first; at least one token.
        length: tokens to write; fewer where the vocabulary has an end token and it is drawn.
        temperature: τ, 0 or more.
        top_k: draw from the k likeliest tokens only; None for all.
        seed: decides what is drawn: same seed, same text.

    Raises:
        ConfigError: a length below 1, a temperature below 0, a `top_k` that is not from 1 to the number of tokens; a
            model that has no parameters, is no language model of this vocabulary, keeps nothing from step to step, or
            looks at other steps by more than its recurrent layers.
        DataError: an empty prompt, or a token in it that is not in the vocabulary.
    """
    _check(model, vocabulary, temperature, top_k, seed)
    length = as_whole(length, "length", 1)
    numbers_of_prompt = vocabulary.encode(prompt)
    if not len(numbers_of_prompt):
        raise DataError(f"The prompt is empty: give at least one {vocabulary.level} to begin with.")
    use_compile_cache()
    unwritten = (vocabulary.number_of(name) for name in ("padding", "unknown", "start"))
    silent = tuple(number for number in unwritten if number is not None)
    forced = np.full(len(numbers_of_prompt) + length - 1, -1, np.int32)
    forced[: len(numbers_of_prompt)] = numbers_of_prompt
    smallest, largest = (float(limit) for limit in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
    greedy = temperature < smallest
    drawn = _written(
        model.net,
        silent,
        None if greedy else top_k,
        greedy,
        settings.current(),
        model.variables.params,
        model.variables.state,
        forced,
        jnp.float32(1.0 if greedy else min(temperature, largest)),
        jax.random.key(seed),
    )
    written = np.asarray(drawn)[len(numbers_of_prompt) - 1 :]
    ends = np.flatnonzero(written == vocabulary.number_of("end"))
    return vocabulary.decode(written[: ends[0]] if ends.size else written)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _written(
    net: Any, silent: tuple[int, ...], top_k: int | None, greedy: bool, kernels: str,
    params: Any, state: Any, forced: Any, temperature: Any, key: Any,
) -> Any:  # fmt: skip
    """The token behind each step; where `forced` names the token of a step, that is read in place of the drawn one."""
    dtype = jax.tree.leaves(params)[0].dtype

    def step(carried: Any, at: Any) -> tuple[Any, Any]:
        state, token = carried
        number, forced = at
        token = jnp.where(forced >= 0, forced, token)
        with settings.using(kernels):
            logits, saved = net.forward(params, token[None, None], Context(state=state))
        z = logits[0, -1].at[np.array(silent, np.int32)].set(-jnp.inf)
        if top_k is not None and top_k < z.size:
            likeliest = lax.top_k(z, top_k)[1]  # of equals the first
            z = jnp.full_like(z, -jnp.inf).at[likeliest].set(z[likeliest])
        if greedy:
            chosen = jnp.argmax(z)
        else:
            z = (z - jnp.max(z)) / temperature.astype(z.dtype)  # shifted, so that a small τ makes none infinite
            chosen = jax.random.categorical(jax.random.fold_in(key, number), z)
        chosen = chosen.astype(jnp.int32)
        return (net.next_state(state, saved), chosen), chosen

    first = with_carry(net, state, 1, dtype), jnp.int32(0)
    return lax.scan(step, first, (jnp.arange(len(forced), dtype=jnp.int32), forced))[1]


def _check(model: Model, vocabulary: Vocabulary, temperature: Any, top_k: Any, seed: Any) -> None:
    if not isinstance(model, Model) or not isinstance(vocabulary, Vocabulary):
        raise ConfigError(f"Text is drawn from a Model with its Vocabulary, not from {model!r} with {vocabulary!r}.")
    wanted_seed(seed)
    if isinstance(temperature, bool) or not isinstance(temperature, numbers.Real) or not _is_temperature(temperature):
        raise ConfigError(f"The temperature must be a number, 0 (always the likeliest) or more, not {temperature!r}.")
    known = (
        isinstance(top_k, numbers.Integral)
        and not isinstance(top_k, bool)
        and int(top_k) in range(1, len(vocabulary) + 1)
    )
    if top_k is not None and not known:
        raise ConfigError(f"top_k must be a whole number from 1 to the {len(vocabulary)} tokens, not {top_k!r}.")
    shape = model.in_shape
    if shape is None:
        raise ConfigError("This model has no parameters yet: fit it before it writes.")
    outputs = model.net.out_shape(shape) if shape is not None and len(shape) == 1 else ()
    if len(outputs) != 2 or outputs[-1] != len(vocabulary):
        raise ConfigError(
            f"This is no language model of {len(vocabulary)} tokens: for tokens (time,) it would give "
            f"(time, {len(vocabulary)}), but for {shape} it gives {outputs or 'something else'}."
        )
    if not with_carry(model.net, {}, 1, np.dtype("float32")):
        raise ConfigError(
            f"A language model keeps what it has read in recurrent layers, but there is none in {model!r}."
        )
    want_single_steps(model.net, "Text is written")


def _is_temperature(value: Any) -> bool:
    return 0 <= value < math.inf
