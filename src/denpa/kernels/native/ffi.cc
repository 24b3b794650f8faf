// The convolutions as XLA's typed FFI calls them.
#include <algorithm>

#include "binding.h"
#include "instruction_set.h"

namespace denpa {
namespace {

using Tensor = ffi::BufferR4<ffi::F32>;
using Row = ffi::BufferR1<ffi::F32>;

enum Algorithm : int { kDirect = 0, kWinograd = 1 };

template <class Problem>
const Operation<Problem>& choose(const Operation<Problem>& direct, const Operation<Problem>& winograd, int algorithm,
                                 const Problem& problem) {
  return algorithm == kWinograd && winograd.serves(problem) ? winograd : direct;
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

}  // namespace
}  // namespace denpa

#pragma GCC visibility push(default)

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_forward, denpa::forward,
                              denpa::binding(denpa::forward, "top", "left", "relu", "algorithm"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_forward_pool, denpa::forward_pool,
                              denpa::binding(denpa::forward_pool, "top", "left", "algorithm"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_input_gradient, denpa::input_gradient,
                              denpa::binding(denpa::input_gradient, "top", "left", "height", "width", "mask",
                                             "algorithm"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(denpa_kernel_gradient, denpa::kernel_gradient,
                              denpa::binding(denpa::kernel_gradient, "top", "left", "height", "width", "mask",
                                             "algorithm"));

#pragma GCC visibility pop
