// Products with a matrix of kLanes x kLanes, which has its place in the registers: the blocks of block.h, as short as
// they would be here, cost more than the sums in them. Without the registers for it, the blocks serve.
#pragma once

#include "block.h"

namespace denpa {
namespace {

inline bool is_square(Int rows, Int columns) {
  return kRegisters > kLanes + 4 && rows == kLanes && columns == kLanes;
}

// c = a b + start: a (rows, kLanes), b (kLanes, kLanes) stays in the registers; four rows at a time.
void multiply_by_square(const float* a, Int rows, const float* b, const float* start, float* c) {
  Vector right[kLanes];
#pragma GCC unroll 16
  for (int j = 0; j < kLanes; ++j) right[j] = load(b + j * kLanes);
  const Vector first = start ? load(start) : Vector{};
  Int row = 0;
  for (; row + 4 <= rows; row += 4, a += 4 * kLanes, c += 4 * kLanes) {
    Vector sum[4] = {first, first, first, first};
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; ++j)
#pragma GCC unroll 4
      for (int p = 0; p < 4; ++p) sum[p] = sum[p] + broadcast(a[p * kLanes + j]) * right[j];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) store(c + p * kLanes, sum[p]);
  }
  // In the same order: how many rows there are depends on the number of threads, which no bit may depend on.
  for (; row < rows; ++row, a += kLanes, c += kLanes) {
    Vector sum = first;
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; ++j) sum = sum + broadcast(a[j]) * right[j];
    store(c, sum);
  }
}

// c = a' b, or c + a' b: a and b (rows, kLanes); c (kLanes, kLanes) stays in the registers.
void multiply_to_square(const float* a, const float* b, Int rows, float* c, bool add) {
  Vector sum[kLanes];
#pragma GCC unroll 16
  for (int p = 0; p < kLanes; ++p) sum[p] = add ? load(c + p * kLanes) : Vector{};
  for (Int row = 0; row < rows; ++row, a += kLanes, b += kLanes) {
    const Vector right = load(b);
#pragma GCC unroll 16
    for (int p = 0; p < kLanes; ++p) sum[p] = sum[p] + broadcast(a[p]) * right;
  }
#pragma GCC unroll 16
  for (int p = 0; p < kLanes; ++p) store(c + p * kLanes, sum[p]);
}

}  // namespace
}  // namespace denpa
