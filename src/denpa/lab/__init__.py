"""Floor 6: experiments, presets, and runs that are kept in folders."""

from denpa.lab.codes import layer_output
from denpa.lab.diagnosis import Diagnosis, diagnose
from denpa.lab.experiment import DataConfig, Experiment, TrainingConfig
from denpa.lab.receptive_field import ReceptiveField, receptive_field
from denpa.lab.regularisers import compare_regularised, regularised
from denpa.lab.run import Run

__all__ = [
    "DataConfig",
    "Diagnosis",
    "Experiment",
    "ReceptiveField",
    "Run",
    "TrainingConfig",
    "compare_regularised",
    "diagnose",
    "layer_output",
    "receptive_field",
    "regularised",
]
