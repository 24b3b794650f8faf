"""Presets: experiments by name, which fit themselves to the data and to a few options.

    experiment = presets.build("digits-mlp", presets.Options(epochs=10))

What a preset leaves open (`None` in `Options`) it chooses itself.
"""

from denpa.lab.presets.blueprint import Options, Preset
from denpa.lab.presets.registry import PRESETS, build, find

__all__ = ["PRESETS", "Options", "Preset", "build", "find"]
