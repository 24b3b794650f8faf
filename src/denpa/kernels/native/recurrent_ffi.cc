// The recurrent layers as XLA's typed FFI calls them.
#include <algorithm>

#include "binding.h"
#include "instruction_set.h"

namespace denpa {
namespace {

using Row = ffi::BufferR1<ffi::F32>;
using Matrix = ffi::BufferR2<ffi::F32>;

// A sum of nothing.
template <class Result>
void clear(Result& sum) {
  std::fill_n(sum->typed_data(), sum->element_count(), 0.0f);
}

// No step at all: what comes from the end is what reaches the beginning.
ffi::Error hand_on(Matrix& end, ffi::Result<Matrix>& beginning) {
  std::copy_n(end.typed_data(), end.element_count(), beginning->typed_data());
  return ffi::Error::Success();
}

// Arrays of all steps have a row for each sequence at each step.
Int steps(const Matrix& all, const Matrix& first) { return all.dimensions()[0] / first.dimensions()[0]; }

const float* given(Matrix& dy) { return dy.element_count() == 0 ? nullptr : dy.typed_data(); }

ffi::Error lstm(ffi::ThreadPool pool, Matrix drive, Row bias, Matrix Wh, Matrix h0, Matrix c0,
                ffi::Result<Matrix> gates, ffi::Result<Matrix> h, ffi::Result<Matrix> c, int32_t reverse) {
  if (h->element_count() == 0) return ffi::Error::Success();
  const auto d = h0.dimensions();
  float* const after[] = {h->typed_data(), c->typed_data()};
  return perform(pool, kernels()->recurrence[kLstm],
                 {steps(*h, h0), d[0], d[1], reverse != 0, drive.typed_data(), bias.typed_data(), Wh.typed_data(),
                  {h0.typed_data(), c0.typed_data()}, {after[0], after[1]}, {after[0], after[1]}, gates->typed_data(),
                  nullptr});
}

// Here and below, dy is empty where the steps give nothing out.
ffi::Error lstm_backward(ffi::ThreadPool pool, Matrix gates, Matrix c, Matrix c0, Matrix Wh, Matrix dy, Matrix dh,
                         Matrix dc, ffi::Result<Matrix> delta, ffi::Result<Matrix> dh0, ffi::Result<Matrix> dc0,
                         int32_t reverse) {
  const auto d = c0.dimensions();
  if (c.element_count() == 0) return hand_on(dc, dc0), hand_on(dh, dh0);
  return perform(pool, kernels()->recurrence_backward[kLstm],
                 {steps(c, c0), d[0], d[1], reverse != 0, gates.typed_data(), Wh.typed_data(), given(dy),
                  {nullptr, c0.typed_data()}, {nullptr, c.typed_data()}, {dh.typed_data(), dc.typed_data()},
                  {dh0->typed_data(), dc0->typed_data()}, delta->typed_data(), nullptr, nullptr});
}

// m is empty where the reset gate is before the product.
ffi::Error gru(ffi::ThreadPool pool, Matrix drive, Row bias, Matrix Wh, Matrix h0, ffi::Result<Matrix> gates,
               ffi::Result<Matrix> m, ffi::Result<Matrix> h, int32_t reset_after, int32_t reverse) {
  if (h->element_count() == 0) return ffi::Error::Success();
  const auto d = h0.dimensions();
  float* const after = h->typed_data();
  return perform(pool, kernels()->recurrence[reset_after ? kGruAfter : kGruBefore],
                 {steps(*h, h0), d[0], d[1], reverse != 0, drive.typed_data(), bias.typed_data(), Wh.typed_data(),
                  {h0.typed_data()}, {after}, {after}, gates->typed_data(), m->typed_data()});
}

ffi::Error gru_backward(ffi::ThreadPool pool, Matrix gates, Matrix m, Matrix h, Matrix h0, Matrix Wh, Matrix dy,
                        Matrix dh, ffi::Result<Matrix> delta, ffi::Result<Matrix> inner, ffi::Result<Matrix> dh0,
                        int32_t reset_after, int32_t reverse) {
  const auto d = h0.dimensions();
  if (h.element_count() == 0) return hand_on(dh, dh0);
  return perform(pool, kernels()->recurrence_backward[reset_after ? kGruAfter : kGruBefore],
                 {steps(h, h0), d[0], d[1], reverse != 0, gates.typed_data(), Wh.typed_data(), given(dy),
                  {h0.typed_data()}, {h.typed_data()}, {dh.typed_data()}, {dh0->typed_data()}, delta->typed_data(),
                  m.typed_data(), inner->typed_data()});
}

ffi::Error rnn(ffi::ThreadPool pool, Matrix drive, Row bias, Matrix Wh, Matrix h0, ffi::Result<Matrix> h, int32_t relu,
               int32_t reverse) {
  if (h->element_count() == 0) return ffi::Error::Success();
  const auto d = h0.dimensions();
  float* const after = h->typed_data();
  return perform(pool, kernels()->recurrence[relu ? kRnnRelu : kRnnTanh],
                 {steps(*h, h0), d[0], d[1], reverse != 0, drive.typed_data(), bias.typed_data(), Wh.typed_data(),
                  {h0.typed_data()}, {after}, {after}, nullptr, nullptr});
}

ffi::Error rnn_backward(ffi::ThreadPool pool, Matrix h, Matrix Wh, Matrix dy, Matrix dh, ffi::Result<Matrix> delta,
                        ffi::Result<Matrix> dh0, int32_t relu, int32_t reverse) {
  const auto d = dh.dimensions();
  if (h.element_count() == 0) return hand_on(dh, dh0);
  return perform(pool, kernels()->recurrence_backward[relu ? kRnnRelu : kRnnTanh],
                 {steps(h, dh), d[0], d[1], reverse != 0, nullptr, Wh.typed_data(), given(dy), {}, {h.typed_data()},
                  {dh.typed_data()}, {dh0->typed_data()}, delta->typed_data(), nullptr, nullptr});
}

ffi::Error recurrent_weights(ffi::ThreadPool pool, Matrix x, Matrix first, Matrix after, Matrix delta, Matrix inner,
                             ffi::Result<Matrix> dWx, ffi::Result<Matrix> dWh, ffi::Result<Row> db,
                             ffi::Result<Row> dbh, int32_t inner_is, int32_t reverse) {
  const auto d = first.dimensions();
  if (delta.element_count() == 0) return clear(dWx), clear(dWh), clear(db), clear(dbh), ffi::Error::Success();
  return perform(pool, kernels()->recurrent_weights,
                 {steps(after, first), d[0], x.dimensions()[1], d[1], delta.dimensions()[1] / d[1], reverse != 0,
                  Inner(inner_is), x.typed_data(), first.typed_data(), after.typed_data(), delta.typed_data(),
                  inner.typed_data(), dWx->typed_data(), dWh->typed_data(), db->typed_data(), dbh->typed_data()});
}

}  // namespace
}  // namespace denpa

#pragma GCC visibility push(default)

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_lstm, denpa::lstm, denpa::binding(denpa::lstm, "reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_lstm_backward, denpa::lstm_backward,
                              denpa::binding(denpa::lstm_backward, "reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_gru, denpa::gru, denpa::binding(denpa::gru, "reset_after", "reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_gru_backward, denpa::gru_backward,
                              denpa::binding(denpa::gru_backward, "reset_after", "reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_rnn, denpa::rnn, denpa::binding(denpa::rnn, "relu", "reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_rnn_backward, denpa::rnn_backward,
                              denpa::binding(denpa::rnn_backward, "relu", "reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_recurrent_weights, denpa::recurrent_weights,
                              denpa::binding(denpa::recurrent_weights, "inner_is", "reverse"));

#pragma GCC visibility pop
