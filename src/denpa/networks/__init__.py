"""Floor 3: containers of layers."""

from denpa.networks.base import Delta, Network, Value
from denpa.networks.bidirectional import Bidirectional
from denpa.networks.carried import with_carry, without_carry
from denpa.networks.encoder_decoder import Encoded, EncoderDecoder
from denpa.networks.graph import Graph, Vertex
from denpa.networks.recurrent import GRU, LSTM, RNN, Recurrent
from denpa.networks.recurrent_feedback import OutputFeedbackRNN
from denpa.networks.sequential import Sequential
from denpa.networks.summary import Summary
from denpa.networks.tied import Tie, Tied

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "Delta",
    "Encoded",
    "EncoderDecoder",
    "Graph",
    "Network",
    "OutputFeedbackRNN",
    "Recurrent",
    "Sequential",
    "Summary",
    "Tie",
    "Tied",
    "Value",
    "Vertex",
    "with_carry",
    "without_carry",
]
