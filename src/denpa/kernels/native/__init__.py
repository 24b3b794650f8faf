"""Convolutions and recurrent layers for the CPU in C++, called through XLA's FFI, where they were compiled."""

from denpa.kernels.native.loading import (
    available,
    instruction_set,
    instruction_sets,
    reason,
    use_instruction_set,
)
from denpa.kernels.native.operations import (
    conv,
    conv_input_gradient,
    conv_kernel_gradient,
    conv_relu,
    conv_relu_input_gradient,
    conv_relu_kernel_gradient,
    conv_relu_pool,
    conv_relu_pool_input_gradient,
    conv_relu_pool_kernel_gradient,
)
from denpa.kernels.native.recurrent import (
    gru,
    gru_backward,
    gru_weights,
    lstm,
    lstm_backward,
    recurrent_weights,
    rnn,
    rnn_backward,
)

__all__ = [
    "available",
    "conv",
    "conv_input_gradient",
    "conv_kernel_gradient",
    "conv_relu",
    "conv_relu_input_gradient",
    "conv_relu_kernel_gradient",
    "conv_relu_pool",
    "conv_relu_pool_input_gradient",
    "conv_relu_pool_kernel_gradient",
    "gru",
    "gru_backward",
    "gru_weights",
    "instruction_set",
    "instruction_sets",
    "lstm",
    "lstm_backward",
    "reason",
    "recurrent_weights",
    "rnn",
    "rnn_backward",
    "use_instruction_set",
]
