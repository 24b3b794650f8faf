"""Encoder and decoder: from a sequence to another one of any other length."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from denpa.core.errors import ConfigError, ShapeError
from denpa.core.layer import Array, Context, Grads, Layer, Params, Saved
from denpa.core.padded import step_mask
from denpa.layers.cell import Carry
from denpa.networks.base import Delta, Value
from denpa.networks.bidirectional import Bidirectional
from denpa.networks.inputs import entering
from denpa.networks.sequential import Sequential, named
from denpa.networks.stacked import Stacked, carry_sizes, is_recurrent
from denpa.networks.walk import Backward, Forward, Stepping, unrecorded

__all__ = ["Encoded", "EncoderDecoder"]


class Encoded(NamedTuple):
    """What the decoder knows of a batch of sources.

    Attributes:
        memory: zˢ of every source step, (batch, source steps, units); where only the last is read, that alone.
        context: c, (batch, units).
        lengths: true steps of each source, or None.
    """

    memory: Array
    context: Array
    lengths: Any


@dataclass(frozen=True)
class EncoderDecoder(Stepping):
    """P(t¹ .. tᵀ' | x¹ .. xᵀ) = Π_k P(tᵏ | t¹ .. tᵏ⁻¹, c)      c = q(z¹ .. zᵀ)

    x = (source, shifted) -> logits (batch, target steps, vocabulary). The source (batch, steps) is read by the
    encoder, zˢ = f(xˢ, zˢ⁻¹); the decoder starts from the encoder's final carries, and from c in the place of zᵀ:

        c = zᵀ or c = Σ_s zˢ / T        h⁰ = c        hᵏ = g(e(tᵏ⁻¹), hᵏ⁻¹)        logitsᵏ = output([hᵏ, aᵏ])

    `shifted` are the targets one step later, behind a start symbol: t⁰ t¹ .. tᵀ'⁻¹. In training the decoder is fed
    the true symbols, not its own (teacher forcing); `denpa.training.decoding` feeds it its own. With cross-entropy,
    softmax of the logits makes E = −Σ_k log P(tᵏ | t¹ .. tᵏ⁻¹, c). With `attention`, aᵏ = Σ_s α_ks zˢ, looked up by
    hᵏ; without it aᵏ is left out. With `peeky`, c enters every step: g([e, c], h), output([h, a, c]).

    Source and shifted targets may be `Padded`, each with lengths of its own.

    Parameters, and records of `trace`, stand below `encoder` (all layers that read the source), `words` (those of the
    decoder in front of its first recurrent layer), `decoder` (its recurrent layers), `attention` (α in
    `saved["alignment"]`, (batch, target steps, source steps)) and `output` (the layers behind). Backwards, the delta
    of c is the sum of those of the decoder's start and, where it is peeky, of every step; ∂c/∂zˢ of a mean is 1/T.

    Args:
        encoder: layers, the last of them recurrent: `[Embedding(50, 16), LSTM(128)]`. `Bidirectional` ones count as
            twice their units.
        decoder: layers in front of, between and behind recurrent ones, as many and as large as the encoder's:
            `[Embedding(50, 16), LSTM(128), Dense(50)]`. How they hand out carries is seen to.
        attention: `AdditiveAttention(64)` or `DotAttention()`, or None.
        peeky: whether every step of the decoder sees c.
        context: q, "last" for zᵀ or "mean" over the true steps of the last recurrent layer's z.

    Raises:
        ConfigError: layers in another order, carries that do not fit, a decoder that reads backwards, another context.
        ShapeError: not a pair of sequences.

    Source: Cho et al. (2014), section 2.2, also for `peeky`; Sutskever, Vinyals & Le (2014); the attention behind the
    recurrent layer: Luong, Pham & Manning (2015), section 3; the mean: Sennrich et al. (2017), Nematus, section 2.
    """

    encoder: tuple[Any, ...]
    decoder: tuple[Any, ...]
    attention: Layer | None = None
    peeky: bool = False
    context: Literal["last", "mean"] = "last"

    def validate(self) -> None:
        for side in ("encoder", "decoder"):
            layers = getattr(self, side)
            layers = layers.layers if isinstance(layers, Sequential) else layers
            if not isinstance(layers, tuple):
                raise ConfigError(f"EncoderDecoder.{side} wants a list of layers, not {layers!r}.")
            object.__setattr__(self, side, layers)
        _check_order(self.encoder, self.decoder)
        _check_carries(_recurrent(self.encoder), _recurrent(self.decoder))
        if self.attention is not None and not isinstance(self.attention, Layer):
            raise ConfigError(f"EncoderDecoder.attention wants a layer such as DotAttention(), not {self.attention!r}.")

    def inner(self) -> tuple[tuple[str, Layer], ...]:
        at = [i for i, (_, layer) in enumerate(named(self.decoder)) if is_recurrent(layer)]
        attention = () if self.attention is None else (("attention", self.attention),)
        return (
            ("encoder", Stacked(self.encoder, sequences=self.attention is not None or self.context == "mean")),
            ("words", Sequential(self.decoder[: at[0]])),
            ("decoder", Stacked(self.decoder[at[0] : at[-1] + 1], takes_carry=True)),
            *attention,
            ("output", Sequential(self.decoder[at[-1] + 1 :])),
        )

    @property
    def takes_integers(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether encoder and decoder take integers."""
        layers = dict(self.inner())
        return layers["encoder"].takes_integers, layers["words"].takes_integers

    def shapes(self, in_shape: Any) -> dict[str, Any]:
        """The shape of one example at the entrance of every part, and under "" at the exit."""
        source, shifted = self._pair(in_shape)
        layers: dict[str, Any] = dict(self.inner())
        memory, carries = layers["encoder"].out_shape(source)
        words = layers["words"].out_shape(shifted)
        context = carries[-1][0][0] if self.peeky else 0
        reads = ((words[0], words[1] + context), carries)
        (steps, size), _ = layers["decoder"].out_shape(reads)
        shapes: dict[str, Any] = {"encoder": source, "words": shifted, "decoder": reads}
        if self.attention is not None:
            shapes["attention"] = ((steps, size), memory)
            size += layers["attention"].out_shape(shapes["attention"])[-1]
        shapes["output"] = (steps, size + context)
        return shapes | {"": layers["output"].out_shape(shapes["output"])}

    def out_shape(self, in_shape: Any) -> Any:
        return self.shapes(in_shape)[""]

    def encode(self, params: Params, source: Any, ctx: Context = Context()) -> tuple[Encoded, tuple[Carry, ...]]:
        """What the decoder knows of the sources (batch, steps), and the carries that it starts from."""
        return self._encoded(unrecorded, params, source, ctx)[:2]

    def decode(
        self, params: Params, encoded: Encoded, shifted: Array, carries: tuple[Carry, ...], ctx: Context = Context()
    ) -> tuple[Array, tuple[Carry, ...]]:
        """Logits (batch, steps, vocabulary) for some steps of the decoder, and the carries behind them."""
        logits, carries, _, _ = self._decoded(unrecorded, params, encoded, shifted, ctx, carries)
        return logits, carries

    def forward_by(self, step: Forward, params: Params, x: Any, ctx: Context) -> tuple[Any, Saved, dict[str, Value]]:
        source, shifted = self._pair(x)
        encoded, carries, own, seen = self._encoded(step, params, source, ctx)
        y, _, saved, met = self._decoded(step, params, encoded, *entering(shifted, ctx), carries)
        return y, own | saved, seen | met

    def _encoded(self, step: Forward, params: Params, source: Any, ctx: Context) -> tuple[Encoded, Any, Saved, Any]:
        """What the decoder knows, the carries that it starts from, and what was saved and met on the way."""
        source, ctx = entering(source, ctx)
        encoder = dict(self.inner())["encoder"]
        (memory, carries), saved, met = step(encoder, "encoder", params["encoder"], source, ctx)
        saved = {"encoder": saved}
        if self.context == "mean":
            saved["shares"] = _shares(memory, ctx.lengths)
            *below, (_, *others) = carries
            carries = (*below, (jnp.sum(saved["shares"] * memory, axis=1), *others))  # c = Σ_s zˢ / T
        return Encoded(memory, carries[-1][0], ctx.lengths), carries, saved, met

    def _decoded(
        self, step: Forward, params: Params, encoded: Encoded, shifted: Array, ctx: Context, carries: Any
    ) -> tuple[Array, Any, Saved, dict[str, Value]]:
        """Logits, final carries, and what was saved and met on the way."""
        layers = dict(self.inner())
        saved, met = {}, {}

        def run(name: str, x: Any, at: Context) -> Any:
            y, saved[name], seen = step(layers[name], name, params[name], x, at)
            met.update(seen)
            return y

        context = [jnp.repeat(encoded.context[:, None], shifted.shape[1], axis=1)] if self.peeky else []
        reads = jnp.concatenate([run("words", shifted, ctx), *context], axis=-1)
        h, carries = run("decoder", (reads, carries), ctx)
        looked_up = []
        if self.attention is not None:
            at_memory = dataclasses.replace(ctx, lengths=encoded.lengths)
            looked_up = [run("attention", (h, encoded.memory), at_memory)]
        return run("output", jnp.concatenate([h, *looked_up, *context], axis=-1), ctx), carries, saved, met

    def backward_by(self, step: Backward, params: Params, saved: Saved, dy: Any) -> tuple[Any, Grads, dict[str, Delta]]:
        layers = dict(self.inner())
        grads, met = {}, {}

        def run(name: str, delta: Any) -> Any:
            dx, grads[name], seen = step(layers[name], name, params[name], saved[name], delta)
            met.update(seen)
            return dx

        recurrent = _recurrent(self.encoder)
        units = carry_sizes(recurrent[-1])[0]  # of c, and of h
        dcontext, dmemory = 0.0, 0.0
        delta = run("output", dy)
        if self.peeky:  # c entered every step: its deltas are summed over time
            delta, at_output = jnp.split(delta, [delta.shape[-1] - units], axis=-1)
            dcontext = jnp.sum(at_output, axis=1)
        if self.attention is not None:
            delta, looked_up = jnp.split(delta, [units], axis=-1)
            dh, dmemory = run("attention", looked_up)
            delta = delta + dh
        dfinal = tuple(_zeros(layer, delta) for layer in recurrent)
        dwords, dcarries = run("decoder", (delta, dfinal))
        if self.peeky:
            dwords, at_input = jnp.split(dwords, [dwords.shape[-1] - units], axis=-1)
            dcontext = dcontext + jnp.sum(at_input, axis=1)
        *below, (dc, *others) = dcarries
        dc = dc + dcontext
        if self.context == "mean":
            dmemory, dc = dmemory + saved["shares"] * dc[:, None], jnp.zeros_like(dc)
        elif self.attention is None:
            dmemory = jnp.zeros_like(dc)
        dsource = run("encoder", (dmemory, (*below, (dc, *others))))
        return (dsource, run("words", dwords)), grads, met

    def _pair(self, x: Any) -> tuple[Any, Any]:
        """Source and shifted targets, as arrays or as shapes."""
        if not isinstance(x, (tuple, list)) or len(x) != 2 or isinstance(x[0], int):
            raise ShapeError("EncoderDecoder wants (source, shifted): what to read, and targets behind a start symbol.")
        return x[0], x[1]


def _recurrent(layers: tuple[Any, ...]) -> list[Any]:
    return [layer for _, layer in named(layers) if is_recurrent(layer)]


def _check_order(encoder: tuple[Any, ...], decoder: tuple[Any, ...]) -> None:
    """Raise `ConfigError` unless the recurrent layers stand where they must."""
    reads, writes = ([is_recurrent(layer) for _, layer in named(layers)] for layers in (encoder, decoder))
    if not reads or not reads[-1]:
        raise ConfigError("EncoderDecoder.encoder must end in a recurrent layer: [Embedding(50, 16), LSTM(128)].")
    if not any(writes) or writes[0] or writes[-1]:
        raise ConfigError(
            "EncoderDecoder.decoder wants recurrent layers between a layer that reads words and one that gives an "
            "output for every word: [Embedding(50, 16), LSTM(128), Dense(50)]."
        )


def _check_carries(encoder: list[Any], decoder: list[Any]) -> None:
    """Raise `ConfigError` unless each recurrent layer of the decoder can start where one of the encoder ended."""
    for layer in decoder:
        if isinstance(layer, Bidirectional) or layer.reverse:
            raise ConfigError(f"The decoder writes from the first word to the last, which {layer!r} does not.")
    ends, starts = ([carry_sizes(layer) for layer in layers] for layers in (encoder, decoder))
    if ends != starts:
        raise ConfigError(
            "Every recurrent layer of the decoder starts from the final carry of one of the encoder, but these have "
            f"the sizes {ends} and those of the decoder {starts}: make them alike."
        )


def _shares(memory: Array, lengths: Any) -> Array:
    """1/T at the T true steps of each source, 0 behind them: (batch, steps, 1)"""
    lengths = jnp.full(len(memory), memory.shape[1]) if lengths is None else lengths
    shares = jnp.where(step_mask(lengths, memory.shape[1]), 1 / lengths[:, None], 0)
    return shares.astype(memory.dtype)[..., None]


def _zeros(layer: Any, like: Array) -> Carry:
    return tuple(jnp.zeros((len(like), size), like.dtype) for size in carry_sizes(layer))
