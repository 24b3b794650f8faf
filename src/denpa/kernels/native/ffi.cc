// The operations as XLA's typed FFI calls them.
#include <algorithm>

#include "instruction_set.h"
#include "parallel.h"

namespace denpa {
namespace {

namespace ffi = xla::ffi;
using Tensor = ffi::BufferR4<ffi::F32>;
using Row = ffi::BufferR1<ffi::F32>;
using Matrix = ffi::BufferR2<ffi::F32>;
using Sequences = ffi::BufferR3<ffi::F32>;

enum Algorithm : int { kDirect = 0, kWinograd = 1 };

// The three steps of an operation, each in parallel.
template <class Problem>
ffi::Error perform(ffi::ThreadPool& pool, const Operation<Problem>& operation, const Problem& problem) {
  thread_local Arena shared_arena;
  const Int threads = pool.num_threads() > 0 ? pool.num_threads() : 1;
  const Needs needs = operation.needs(problem, threads);
  char* const shared = shared_arena.at_least(needs.shared);
  std::atomic<bool> exhausted{shared == nullptr && needs.shared > 0};
  if (!exhausted) {
    parallel(pool, threads, needs.opening, [&](Int piece) { operation.open(problem, threads, shared, piece); });
    parallel(pool, threads, needs.items, [&](Int piece) {
      thread_local Arena scratch_arena;
      char* const scratch = scratch_arena.at_least(needs.scratch);
      if (scratch == nullptr) exhausted = true;
      else operation.run(problem, threads, shared, scratch, piece);
    });
  }
  if (exhausted) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "denpa: no memory for a kernel's scratch");
  parallel(pool, threads, needs.closing, [&](Int piece) { operation.close(problem, threads, shared, piece); });
  return ffi::Error::Success();
}

template <class Problem>
const Operation<Problem>& choose(const Operation<Problem>& direct, const Operation<Problem>& winograd, int algorithm,
                                 const Problem& problem) {
  return algorithm == kWinograd && winograd.serves && winograd.serves(problem) ? winograd : direct;
}

ffi::Error correlate(ffi::ThreadPool& pool, int algorithm, const Correlation& problem) {
  if (problem.x.batch == 0 || problem.height <= 0 || problem.width <= 0 || problem.filters == 0)
    return ffi::Error::Success();
  const Kernels& all = *kernels();
  return perform(pool, choose(all.direct, all.winograd, algorithm, problem), problem);
}

Images images(const float* data, Int batch, Int height, Int width, Int channels) {
  return {data, nullptr, Mask::none, batch, height, width, channels};
}

Images images(Tensor& x) {
  const auto d = x.dimensions();
  return images(x.typed_data(), d[0], d[1], d[2], d[3]);
}

// dy of an image of this size: with a mask, height and width are those before pooling.
Images deltas(Tensor& dy, ffi::AnyBuffer& mask, int kind, Int height, Int width) {
  Images made = images(dy);
  made.kind = Mask(kind);
  made.mask = mask.untyped_data();
  made.height = height;
  made.width = width;
  return made;
}

ffi::Error forward(ffi::ThreadPool pool, Tensor x, Tensor kernel, Row bias, ffi::Result<Tensor> y, int32_t top,
                   int32_t left, int32_t relu, int32_t algorithm) {
  const auto k = kernel.dimensions(), out = y->dimensions();
  return correlate(pool, algorithm,
                   {images(x), kernel.typed_data(), bias.typed_data(), false, relu != 0, k[0], k[1], top, left, out[1],
                    out[2], out[3], y->typed_data(), nullptr});
}

ffi::Error forward_pool(ffi::ThreadPool pool, Tensor x, Tensor kernel, Row bias, ffi::Result<Tensor> y,
                        ffi::Result<ffi::BufferR4<ffi::U8>> index, int32_t top, int32_t left, int32_t algorithm) {
  const auto k = kernel.dimensions(), out = y->dimensions();
  return correlate(pool, algorithm,
                   {images(x), kernel.typed_data(), bias.typed_data(), false, true, k[0], k[1], top, left, 2 * out[1],
                    2 * out[2], out[3], y->typed_data(), index->typed_data()});
}

// The gradient of the input is a correlation of dy with the kernel turned round.
ffi::Error input_gradient(ffi::ThreadPool pool, Tensor dy, ffi::AnyBuffer mask, Tensor kernel, ffi::Result<Tensor> dx,
                          int32_t top, int32_t left, int32_t height, int32_t width, int32_t kind, int32_t algorithm) {
  const auto k = kernel.dimensions(), out = dx->dimensions();
  return correlate(pool, algorithm,
                   {deltas(dy, mask, kind, height, width), kernel.typed_data(), nullptr, true, false, k[0], k[1],
                    k[0] - 1 - top, k[1] - 1 - left, out[1], out[2], out[3], dx->typed_data(), nullptr});
}

ffi::Error kernel_gradient(ffi::ThreadPool pool, Tensor x, Tensor dy, ffi::AnyBuffer mask, ffi::Result<Tensor> dw,
                           ffi::Result<Row> db, int32_t top, int32_t left, int32_t height, int32_t width, int32_t kind,
                           int32_t algorithm) {
  const auto k = dw->dimensions();
  if (x.element_count() == 0 || dy.element_count() == 0 || dw->element_count() == 0) {  // a sum of nothing
    std::fill_n(dw->typed_data(), dw->element_count(), 0.0f);
    std::fill_n(db->typed_data(), db->element_count(), 0.0f);
    return ffi::Error::Success();
  }
  const KernelGradient problem{images(x), deltas(dy, mask, kind, height, width), k[0], k[1], top, left,
                               dw->typed_data(), db->typed_data()};
  const Kernels& all = *kernels();
  return perform(pool, choose(all.direct_gradient, all.winograd_gradient, algorithm, problem), problem);
}

ffi::Error lstm(ffi::ThreadPool pool, Sequences drive, Row bias, Matrix Wh, Matrix h0, Matrix c0,
                ffi::Result<Sequences> gates, ffi::Result<Sequences> h, ffi::Result<Sequences> c, int32_t reverse) {
  if (h->element_count() == 0) return ffi::Error::Success();
  const auto d = h->dimensions();
  float* const after[] = {h->typed_data(), c->typed_data()};
  return perform(pool, kernels()->lstm,
                 {d[0], d[1], d[2], reverse != 0, drive.typed_data(), bias.typed_data(), Wh.typed_data(),
                  {h0.typed_data(), c0.typed_data()}, {after[0], after[1]}, {after[0], after[1]}, gates->typed_data()});
}

// dy is empty where the steps give nothing out.
ffi::Error lstm_home(ffi::ThreadPool pool, Sequences gates, Sequences c, Matrix c0, Matrix Wh, Sequences dy, Matrix dh,
                     Matrix dc, ffi::Result<Sequences> delta, ffi::Result<Matrix> dh0, ffi::Result<Matrix> dc0,
                     int32_t reverse) {
  const auto d = c.dimensions();
  if (c.element_count() == 0) {
    std::copy_n(dh.typed_data(), dh.element_count(), dh0->typed_data());
    std::copy_n(dc.typed_data(), dc.element_count(), dc0->typed_data());
    return ffi::Error::Success();
  }
  return perform(pool, kernels()->lstm_home,
                 {d[0], d[1], d[2], reverse != 0, gates.typed_data(), Wh.typed_data(),
                  dy.element_count() == 0 ? nullptr : dy.typed_data(), {nullptr, c0.typed_data()},
                  {nullptr, c.typed_data()}, {dh.typed_data(), dc.typed_data()},
                  {dh0->typed_data(), dc0->typed_data()}, delta->typed_data()});
}

ffi::Error recurrent_weights(ffi::ThreadPool pool, Sequences x, Matrix first, Sequences after, Sequences delta,
                             ffi::Result<Matrix> dWx, ffi::Result<Matrix> dWh, ffi::Result<Row> db, int32_t reverse) {
  const auto d = after.dimensions();
  if (delta.element_count() == 0) {  // a sum of nothing
    std::fill_n(dWx->typed_data(), dWx->element_count(), 0.0f);
    std::fill_n(dWh->typed_data(), dWh->element_count(), 0.0f);
    std::fill_n(db->typed_data(), db->element_count(), 0.0f);
    return ffi::Error::Success();
  }
  return perform(pool, kernels()->recurrent_weights,
                 {d[0], d[1], x.dimensions()[2], d[2], delta.dimensions()[2], reverse != 0, x.typed_data(),
                  first.typed_data(), after.typed_data(), delta.typed_data(), dWx->typed_data(), dWh->typed_data(),
                  db->typed_data()});
}

}  // namespace
}  // namespace denpa

#pragma GCC visibility push(default)

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_forward, denpa::forward,
                              denpa::ffi::Ffi::Bind()
                                  .Ctx<denpa::ffi::ThreadPool>()
                                  .Arg<denpa::Tensor>()
                                  .Arg<denpa::Tensor>()
                                  .Arg<denpa::Row>()
                                  .Ret<denpa::Tensor>()
                                  .Attr<int32_t>("top")
                                  .Attr<int32_t>("left")
                                  .Attr<int32_t>("relu")
                                  .Attr<int32_t>("algorithm"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_forward_pool, denpa::forward_pool,
                              denpa::ffi::Ffi::Bind()
                                  .Ctx<denpa::ffi::ThreadPool>()
                                  .Arg<denpa::Tensor>()
                                  .Arg<denpa::Tensor>()
                                  .Arg<denpa::Row>()
                                  .Ret<denpa::Tensor>()
                                  .Ret<denpa::ffi::BufferR4<denpa::ffi::U8>>()
                                  .Attr<int32_t>("top")
                                  .Attr<int32_t>("left")
                                  .Attr<int32_t>("algorithm"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_input_gradient, denpa::input_gradient,
                              denpa::ffi::Ffi::Bind()
                                  .Ctx<denpa::ffi::ThreadPool>()
                                  .Arg<denpa::Tensor>()
                                  .Arg<denpa::ffi::AnyBuffer>()
                                  .Arg<denpa::Tensor>()
                                  .Ret<denpa::Tensor>()
                                  .Attr<int32_t>("top")
                                  .Attr<int32_t>("left")
                                  .Attr<int32_t>("height")
                                  .Attr<int32_t>("width")
                                  .Attr<int32_t>("mask")
                                  .Attr<int32_t>("algorithm"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_kernel_gradient, denpa::kernel_gradient,
                              denpa::ffi::Ffi::Bind()
                                  .Ctx<denpa::ffi::ThreadPool>()
                                  .Arg<denpa::Tensor>()
                                  .Arg<denpa::Tensor>()
                                  .Arg<denpa::ffi::AnyBuffer>()
                                  .Ret<denpa::Tensor>()
                                  .Ret<denpa::Row>()
                                  .Attr<int32_t>("top")
                                  .Attr<int32_t>("left")
                                  .Attr<int32_t>("height")
                                  .Attr<int32_t>("width")
                                  .Attr<int32_t>("mask")
                                  .Attr<int32_t>("algorithm"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_lstm, denpa::lstm,
                              denpa::ffi::Ffi::Bind()
                                  .Ctx<denpa::ffi::ThreadPool>()
                                  .Arg<denpa::Sequences>()
                                  .Arg<denpa::Row>()
                                  .Arg<denpa::Matrix>()
                                  .Arg<denpa::Matrix>()
                                  .Arg<denpa::Matrix>()
                                  .Ret<denpa::Sequences>()
                                  .Ret<denpa::Sequences>()
                                  .Ret<denpa::Sequences>()
                                  .Attr<int32_t>("reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_lstm_home, denpa::lstm_home,
                              denpa::ffi::Ffi::Bind()
                                  .Ctx<denpa::ffi::ThreadPool>()
                                  .Arg<denpa::Sequences>()
                                  .Arg<denpa::Sequences>()
                                  .Arg<denpa::Matrix>()
                                  .Arg<denpa::Matrix>()
                                  .Arg<denpa::Sequences>()
                                  .Arg<denpa::Matrix>()
                                  .Arg<denpa::Matrix>()
                                  .Ret<denpa::Sequences>()
                                  .Ret<denpa::Matrix>()
                                  .Ret<denpa::Matrix>()
                                  .Attr<int32_t>("reverse"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_recurrent_weights, denpa::recurrent_weights,
                              denpa::ffi::Ffi::Bind()
                                  .Ctx<denpa::ffi::ThreadPool>()
                                  .Arg<denpa::Sequences>()
                                  .Arg<denpa::Matrix>()
                                  .Arg<denpa::Sequences>()
                                  .Arg<denpa::Sequences>()
                                  .Ret<denpa::Matrix>()
                                  .Ret<denpa::Matrix>()
                                  .Ret<denpa::Row>()
                                  .Attr<int32_t>("reverse"));

#pragma GCC visibility pop
