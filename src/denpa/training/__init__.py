"""Floor 5: compiled training, models and their files, callbacks."""

from denpa.training.bagging import Bagging
from denpa.training.callbacks import Callback, Session
from denpa.training.checkpoint import Checkpoint
from denpa.training.decoding import Decoded, beam_search, greedy
from denpa.training.early_stopping import EarlyStopping
from denpa.training.history import History
from denpa.training.model import Model
from denpa.training.model_file import load
from denpa.training.onnx import export_onnx
from denpa.training.pretraining import pretrain
from denpa.training.sampling import sample
from denpa.training.sweep import Sweep, sweep
from denpa.training.tensorboard import TensorBoard

__all__ = [
    "Bagging",
    "Callback",
    "Checkpoint",
    "Decoded",
    "EarlyStopping",
    "History",
    "Model",
    "Session",
    "Sweep",
    "TensorBoard",
    "beam_search",
    "export_onnx",
    "greedy",
    "load",
    "pretrain",
    "sample",
    "sweep",
]
