// All hot loops, compiled once for each instruction set. No standard header is included here: an inline function of
// one, compiled for AVX-512, could be the copy that the linker keeps for everybody.
#include "cells.h"
#include "recurrent_weights.h"
#include "winograd.h"

namespace denpa {
namespace {

template <class Cell>
constexpr Operation<Recurrence> forward_of() {
  return {nullptr, forward_needs<Cell>, forward_open<Cell>, forward_run<Cell>, nullptr};
}

template <class Cell>
constexpr Operation<RecurrenceBackward> backward_of() {
  return {nullptr, backward_needs<Cell>, backward_open<Cell>, backward_run<Cell>, nullptr};
}

}  // namespace
}  // namespace denpa

extern "C" {
extern const denpa::Kernels DENPA_KERNELS;
const denpa::Kernels DENPA_KERNELS = {
    DENPA_NAME,
    {nullptr, denpa::direct_needs, denpa::direct_open, denpa::direct_run, nullptr},
    {denpa::winograd_serves, denpa::winograd_needs, denpa::winograd_open, denpa::winograd_run, nullptr},
    {nullptr, denpa::direct_gradient_needs, denpa::direct_gradient_open, denpa::direct_gradient_run,
     denpa::direct_gradient_close},
    {denpa::winograd_gradient_serves, denpa::winograd_gradient_needs, denpa::winograd_gradient_open,
     denpa::winograd_gradient_run, denpa::winograd_gradient_close},
    {denpa::forward_of<denpa::Lstm>(), denpa::forward_of<denpa::GruBefore>(), denpa::forward_of<denpa::GruAfter>(),
     denpa::forward_of<denpa::Rnn<true>>(), denpa::forward_of<denpa::Rnn<false>>()},
    {denpa::backward_of<denpa::Lstm>(), denpa::backward_of<denpa::GruBefore>(), denpa::backward_of<denpa::GruAfter>(),
     denpa::backward_of<denpa::Rnn<true>>(), denpa::backward_of<denpa::Rnn<false>>()},
    {nullptr, denpa::weights_needs, nullptr, denpa::weights_run, nullptr},
};
}
