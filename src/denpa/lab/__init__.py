"""Floor 6: experiments, presets, and runs that are kept in folders."""

from denpa.lab.codes import layer_output
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.receptive_field import ReceptiveField, receptive_field
from denpa.lab.regularisers import compare_regularised, regularised
from denpa.lab.run import Run

__all__ = [
    "DataConfig",
    "Experiment",
    "ReceptiveField",
    "Run",
    "TrainingConfig",
    "compare_regularised",
    "layer_output",
    "receptive_field",
    "regularised",
]
