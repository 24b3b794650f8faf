// What the kernels are asked to do: plain data, the same in every object file.
#pragma once

namespace denpa {

using Int = __PTRDIFF_TYPE__;
using Byte = unsigned char;

// How the values of an image are to be read.
enum class Mask : int {
  none = 0,  // as they are
  relu = 1,  // zero where the output of the ReLU, in `mask`, is not positive
  pool = 2,  // spread over 2x2 windows: to the place that the index in `mask` names, 4 = to none
};

constexpr Byte kBlocked = 4;  // no place of the window is positive, so that the ReLU lets nothing through

// A batch of images, NHWC. With Mask::pool `data` and `mask` have floor(height / 2) rows of floor(width / 2) pixels.
struct Images {
  const float* data;
  const void* mask;
  Mask kind;
  Int batch, height, width, channels;
};

// y[n, h, w, f] = bias[f] + sum of x[n, h + i - top, w + j - left, c] kernel[i, j, c, f], zero outside of x.
struct Correlation {
  Images x;
  const float* kernel;  // HWIO; with `flipped` the kernel of the forward direction, to be turned and transposed
  const float* bias;    // null: zero
  bool flipped, relu;
  Int kernel_height, kernel_width, top, left;
  Int height, width, filters;  // of y, before pooling
  float* y;
  Byte* index;  // not null: y is pooled, and here is the place of each greatest value
};

// dw[i, j, c, f] = sum of x[n, h + i - top, w + j - left, c] dy[n, h, w, f]      db[f] = sum of dy[n, h, w, f]
struct KernelGradient {
  Images x, dy;
  Int kernel_height, kernel_width, top, left;
  float *dw, *db;
};

// A recurrent cell through time; arrays are (time, batch, ...), a carry before or behind all steps is (batch, units).
// carry: behind every step. It is also what `after` points to, once it is written.
struct Recurrence {
  Int steps, batch, units;
  bool reverse;  // from the last step to the first
  const float *drive, *bias, *Wh;
  const float* first[2];
  const float* carry[2];
  float* after[2];
  float* gates;  // may be where the drive is
  float* inner;  // of a GRU with its reset gate behind the product: m = h' Wh_n + bh
};

// The same backward: dy may be null, delta may be where the gates are, and inner where `kept` is, which is m.
struct RecurrenceBackward {
  Int steps, batch, units;
  bool reverse;
  const float *gates, *Wh, *dy;
  const float* first[2];
  const float* carry[2];
  const float* dfinal[2];
  float* dfirst[2];
  float* delta;
  const float* kept;
  float* inner;  // the delta of m, or r h' of a GRU with its reset gate before the product
};

// What takes part in the last gate's columns of dWh; Python counts them too.
enum class Inner : int {
  none = 0,
  state = 1,  // instead of h
  delta = 2,  // instead of delta; its sum is dbh
};

// dWx = sum of x' delta, dWh = sum of h' delta, db = sum of delta, where h is what stands before each step.
struct RecurrentWeights {
  Int steps, batch, inputs, units, gates;
  bool reverse;
  Inner inner_is;
  const float *x, *first, *after, *delta, *inner;  // h: the initial one, and those behind all steps
  float *dWx, *dWh, *db, *dbh;
};

// How much work an operation is and what it needs; memory is counted in bytes.
struct Needs {
  Int opening, items, closing;  // independent pieces of work in each of the three steps
  Int shared;                   // memory that all pieces share
  Int scratch;                  // memory that each thread has for itself
};

// Three steps, each a number of pieces that run in any order on any thread. How the pieces are cut may depend on the
// number of threads only where that does not change the order of any sum.
template <class Problem>
struct Operation {
  bool (*serves)(const Problem&);  // null: every problem
  Needs (*needs)(const Problem&, Int threads);
  void (*open)(const Problem&, Int threads, char* shared, Int piece);
  void (*run)(const Problem&, Int threads, const char* shared, char* scratch, Int piece);
  void (*close)(const Problem&, Int threads, const char* shared, Int piece);
};

// Which cell; kernels.cc lists them in this order.
enum CellKind : int { kLstm = 0, kGruBefore = 1, kGruAfter = 2, kRnnTanh = 3, kRnnRelu = 4, kCells = 5 };

// All operations for one instruction set.
struct Kernels {
  const char* name;
  Operation<Correlation> direct, winograd;
  Operation<KernelGradient> direct_gradient, winograd_gradient;
  Operation<Recurrence> recurrence[kCells];
  Operation<RecurrenceBackward> recurrence_backward[kCells];
  Operation<RecurrentWeights> recurrent_weights;
};

}  // namespace denpa
