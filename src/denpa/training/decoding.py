"""The decoder left to itself: from sources to the sequences that a trained `EncoderDecoder` answers.

    greedy         tᵏ = arg max P(t | t¹ .. tᵏ⁻¹, c)
    beam search    keeps the `beam` beginnings of the largest  log P(t¹ .. tᵏ | c) / ((5 + k) / 6)^α  at every step k

Both are one compiled scan over the steps of the answer, whose carries are those of the decoder.
"""

from __future__ import annotations

import functools
import math
import numbers
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from denpa.core.errors import ConfigError, DataError
from denpa.core.layer import Array, Context
from denpa.core.padded import values_of
from denpa.data.arguments import as_number, as_whole
from denpa.kernels import settings
from denpa.networks import EncoderDecoder, Sequential
from denpa.training.inputs import checked_examples
from denpa.training.words import check_words

__all__ = ["Decoded", "beam_search", "greedy"]

_AT_ONCE = 256  # hypotheses that are written together


class Decoded(NamedTuple):
    """Answers, with axes (batch,) in front by `greedy`, (batch, beam) by `beam_search`.

    With a beam wider than there are answers the last ones are none: their `score` is −inf.

    Attributes:
        tokens: (..., longest) int32; the end token from each answer's end on.
        lengths: (...,) int32 tokens in front of the end.
        log_probability: (...,) log P of the whole answer, the end token included.
        score: (...,) what the answers are ranked by, the largest first.
    """

    tokens: Any
    lengths: Any
    log_probability: Any
    score: Any


def greedy(model: Any, source: Any, *, start: int, end: int | None, longest: int) -> Decoded:
    """At every step the most probable token: a beam search with a beam of 1.

    Args:
        model: a trained `Model` of an `EncoderDecoder`.
        source: (batch, steps), or `Padded`.
        start: the number of the token that the decoder reads first.
        end: the number of the token with which an answer ends; None where all have `longest` tokens.
        longest: tokens that an answer has at most.

    Raises:
        ConfigError: another network, a model without parameters, numbers out of range.
        DataError: sources that are no sequences.
    """
    found = beam_search(model, source, beam=1, start=start, end=end, longest=longest)
    return Decoded(*(part[:, 0] for part in found))


def beam_search(
    model: Any,
    source: Any,
    *,
    start: int,
    end: int | None,
    longest: int,
    beam: int = 5,
    length_penalty: float = 0.0,
) -> Decoded:
    """The `beam` best answers to every source, the best first.

    At every step each of the `beam` beginnings is continued by every token, and the best of all of them go on; an
    ended one stays as it is. With a beam as wide as there are beginnings the search is exhaustive.

    Args:
        model, source, start, end, longest: as for `greedy`.
        beam: beginnings that are kept.
        length_penalty: α; 0 ranks by log P alone, which favours short answers; 0.6 to 1 is usual for translations.

    Raises:
        ConfigError, DataError: as for `greedy`; a beam below 1, a penalty below 0.

    Source: Sutskever, Vinyals & Le (2014), section 3.2, for the search; Wu et al. (2016), equation 14, for the penalty.
    """
    beam, longest = as_whole(beam, "beam", 1), as_whole(longest, "longest", 1)
    length_penalty = _length_penalty(length_penalty, longest)
    net = getattr(model, "net", model)
    if not isinstance(net, EncoderDecoder) or net is model:
        raise ConfigError(f"Answers are written by the Model of an EncoderDecoder, not by {net!r}.")
    if hasattr(model, "member"):
        raise ConfigError("Answers are written by a single model, not by an ensemble: give one of it, member(0).")
    params, state = model.variables
    _check_tokens(model, start, end)
    if isinstance(source, tuple):
        raise DataError("The sources are one array (batch, steps), or Padded, not a tuple: leave the answers out.")
    source = checked_examples(source, None, None, "the sources")
    check_words(Sequential(net.encoder), source, "the sources")
    examples = len(values_of(source))
    rows = min(max(_AT_ONCE // beam, 1), 1 << (examples - 1).bit_length())  # powers of two need few programs
    options = (net, beam, longest, end, settings.current())
    alpha = np.asarray(length_penalty, jax.dtypes.canonicalize_dtype(float))
    found = []
    for first in range(0, examples, rows):
        part = jax.tree.map(lambda a, i=first: _filled(np.asarray(a)[i : i + rows], rows), source)
        found.append(_search(*options, model.programs.recipe.cast(params), state, part, np.int32(start), alpha))
    return Decoded(*(np.concatenate([np.asarray(a) for a in parts])[:examples] for parts in zip(*found, strict=True)))


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _search(
    net: EncoderDecoder, beam: int, longest: int, end: int | None, kernels: str,
    params: Any, state: Any, source: Any, start: Array, alpha: Array,
) -> Decoded:  # fmt: skip
    with settings.using(kernels):
        ctx = Context(train=False, state=state)
        encoded, carries = jax.tree.map(lambda a: jnp.repeat(a, beam, axis=0), net.encode(params, source, ctx))
        shape = (len(encoded.context) // beam, beam)
        carries = jax.tree.map(lambda a: a.reshape(*shape, -1), carries)
        total = jnp.where(jnp.arange(beam) == 0, 0.0, jnp.full(shape, -jnp.inf))  # one beginning, not `beam` alike
        zeros, written = jnp.zeros(shape, jnp.int32), jnp.zeros((*shape, longest), jnp.int32)
        first = (total, zeros, jnp.zeros(shape, bool), jnp.full(shape, start, jnp.int32), written, carries)

        def body(at: Any, step: Array) -> tuple[Any, Array]:
            total, lengths, ended, last, written, carries = at
            carries = jax.tree.map(lambda a: a.reshape(-1, a.shape[-1]), carries)
            logits, carries = net.decode(params, encoded, last.reshape(-1, 1), carries, ctx)
            log_p = jax.nn.log_softmax(logits[:, 0].astype(total.dtype)).reshape(*shape, -1)
            if end is not None:
                stays = jnp.where(jnp.arange(log_p.shape[-1]) == end, 0.0, -jnp.inf)
                log_p = jnp.where(ended[..., None], stays, log_p)
            lengths = jnp.where(ended, lengths, lengths + 1)
            totals = total[..., None] + log_p
            scores = totals / _penalty(lengths, alpha)[..., None]
            score, best = lax.top_k(scores.reshape(shape[0], -1), beam)
            parent, token = best // log_p.shape[-1], best % log_p.shape[-1]
            carries = jax.tree.map(lambda a: a.reshape(*shape, -1), carries)
            lengths, ended, written, carries = jax.tree.map(
                lambda a: _taken(a, parent), (lengths, ended, written, carries)
            )
            total = _taken(totals.reshape(shape[0], -1), best)
            ended = ended if end is None else ended | (token == end)
            return (total, lengths, ended, token, written.at[..., step].set(token), carries), score

        (total, lengths, ended, _, tokens, _), scores = lax.scan(body, first, jnp.arange(longest))
        return Decoded(tokens, jnp.where(ended, lengths - 1, lengths), total, scores[-1])


def _taken(a: Array, places: Array) -> Array:
    """a[n, places[n]] for every n."""
    return jnp.take_along_axis(a, places.reshape(*places.shape, *[1] * (a.ndim - 2)), axis=1)


def _penalty(length: Array, alpha: Array) -> Array:
    """((5 + k) / 6)^α of k tokens, the end token included."""
    return ((5.0 + length.astype(jnp.result_type(float))) / 6.0) ** alpha


def _length_penalty(alpha: Any, longest: int) -> float:
    """α as a number; a `ConfigError` for anything else, and where ((5 + longest) / 6)^α is none in float32."""
    alpha = as_number(alpha, "length_penalty")
    if alpha * math.log((5 + longest) / 6) >= math.log(np.finfo(np.float32).max):
        raise ConfigError(f"length_penalty {alpha:g} leaves nothing of any score: 0.6 to 1 is usual.")
    return alpha


def _filled(a: np.ndarray, rows: int) -> np.ndarray:
    """As many rows as the program has, the last one repeated."""
    return a if len(a) == rows else np.concatenate([a, np.repeat(a[-1:], rows - len(a), axis=0)])


def _check_tokens(model: Any, start: Any, end: Any) -> None:
    """Raise `ConfigError` where start or end are no tokens of the decoder."""
    vocabulary = model.net.out_shape(model.in_shape)[-1]
    for name, number in (("start", start), ("end", 0 if end is None else end)):
        if isinstance(number, bool) or not isinstance(number, numbers.Integral) or int(number) not in range(vocabulary):
            raise ConfigError(f"{name} must be the number of a token, 0 to {vocabulary - 1}, not {number!r}.")
