"""Networks that go on where the last window of a sequence ended: the carry as state."""

from __future__ import annotations

from typing import Any

from denpa.core.errors import ConfigError
from denpa.core.layer import Layer, State
from denpa.networks.base import Network
from denpa.networks.encoder_decoder import EncoderDecoder
from denpa.networks.recurrent import Recurrent
from denpa.networks.tied import Tied

__all__ = ["with_carry", "without_carry"]


def with_carry(net: Layer, state: State, batch: int, dtype: Any) -> State:
    """The state with a carry of 0 for every recurrent layer inside, for `batch` sequences.

    With this state `forward` starts from the carry that it holds, and `next_state` puts the final carry in its place:
    the next window goes on where this one ended, and no delta goes back into it.

    Raises:
        ConfigError: a layer that reads sequences backwards, one used twice under one name, or an encoder, which must
            read whole sequences.
    """
    if isinstance(net, EncoderDecoder):
        raise ConfigError("An encoder reads its sequence whole before the decoder writes: it takes no windows.")
    if isinstance(net, Recurrent):
        if net.reverse:
            raise ConfigError(f"{net!r} reads sequences from their end, which a window has not seen yet.")
        return state if net.takes_carry else state | net.carry_state(batch, dtype)
    if isinstance(net, Tied):  # its layers and state are those of the network inside
        return with_carry(net.net, state, batch, dtype)
    found, slots = dict(state), net.slots() if isinstance(net, Network) else {}
    for name, layer in net.inner():
        slot = slots.get(name, name)
        inside = with_carry(layer, state.get(slot, {}), batch, dtype)
        if inside and slot in found and slot != name:
            raise ConfigError(f"{name!r} shares the layer {slot!r}, but each needs its own carry: name them apart.")
        if inside:
            found[slot] = inside
    return found


def without_carry(state: State, before: State) -> State:
    """The state without the carries that `with_carry` put into `before`."""
    return {name: without_carry(state[name], v) if isinstance(v, dict) else state[name] for name, v in before.items()}
