"""All presets by name, and the experiment that one of them makes of options and data."""

from __future__ import annotations

from denpa.core.errors import ConfigError, nearest
from denpa.lab.experiment import DataConfig, Experiment
from denpa.lab.presets import autoencoder, convolution, dense, linear, pairs, text
from denpa.lab.presets.blueprint import Options, Preset
from denpa.lab.sources import Look, look_of

__all__ = ["PRESETS", "build", "find"]

PRESETS: dict[str, Preset] = {
    **dense.PRESETS,
    **linear.PRESETS,
    **text.PRESETS,
    **convolution.PRESETS,
    **pairs.PRESETS,
    **autoencoder.PRESETS,
}

# What sequences are, and the preset for them.
_OF_SEQUENCES = {
    "text": ("a text", "shakespeare-lstm"),
    "series": ("a series", "series"),
    "text-classification": ("texts with classes", "text-classifier"),
}


def find(name: str) -> Preset:
    """The preset of this name; an unknown one is a `ConfigError` with the nearest."""
    if name not in PRESETS:
        raise ConfigError(f"Unknown preset {name!r}: {nearest(name, PRESETS, plural='presets')}")
    return PRESETS[name]


def build(
    name: str, options: Options = Options(), data: DataConfig | None = None, look: Look | None = None
) -> Experiment:
    """The experiment of a preset.

    Args:
        name: one of `PRESETS`.
        options: what is asked for.
        data: other data than the preset's own.
        look: what the data look like; found by reading them when None.

    Raises:
        ConfigError: an unknown preset (the nearest is named), options that make no sense, a preset without data.
        DataError, FileFormatError: data that cannot be read.
    """
    preset = find(name)
    if data is None and preset.wants_data:
        raise ConfigError(f"The preset {name!r} is for data of your own: {preset.wants_data}.")
    data = preset.data if data is None else data
    if preset.task in ("text", "series", "pairs", "reconstruction", "text-classification") and data.task is None:
        data = data.replace(task=preset.task)
    if options.code is not None and not preset.coded:
        raise ConfigError(f"The preset {name!r} has no code: --code is for autoencoders; see denpa list presets.")
    look = look_of(data) if look is None else look
    if look.task in _OF_SEQUENCES and preset.task != look.task:
        what, other = _OF_SEQUENCES[look.task]
        raise ConfigError(f"The preset {name!r} is not for {what}, which {data.source} is read as: try {other!r}.")
    if preset.task not in (None, look.task) or (preset.task is None and look.task == "reconstruction"):
        task = preset.task or "classes and values"
        other = "autoencoder" if look.task == "reconstruction" else "mlp"
        task = _OF_SEQUENCES[task][0] if task in _OF_SEQUENCES else task
        raise ConfigError(f"The preset {name!r} is for {task}, but {data.source} is a {look.task}: try {other!r}.")
    return preset.make(name, options, look, data)
