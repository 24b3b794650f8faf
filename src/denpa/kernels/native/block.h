// The one inner loop: a product of matrices whose left operand is gathered through two tables of places.
//
//     c[i, f] = start[f] + sum over j of a[rows[i] + columns[j]] b[j, f]
//
// A convolution is this product: forward, rows are pixels and columns taps of the kernel; for the gradient of the
// kernel, rows are taps and columns pixels. P rows by V vectors of f stay in registers while j runs.
#pragma once

#include "vector.h"

namespace denpa {
namespace {

constexpr int kMostVectors = kRegisters == 32 ? 4 : 3;  // V
constexpr int kMostRows = 8;                            // P

// Rows for each V, such that P x V accumulators, V vectors of b and one of a fit into the registers.
constexpr int rows_for(int vectors) {
  if (kRegisters == 32) return vectors == 4 ? 6 : 8;
  return vectors == 1 ? 8 : vectors == 2 ? 6 : 4;
}

// b is cut into panels of V vectors: panel, then j, then f. This is the width of the next panel.
inline Int panel_width(Int vectors_left) {
  if (vectors_left <= kMostVectors) return vectors_left;
  return vectors_left < 2 * kMostVectors ? (vectors_left + 1) / 2 : kMostVectors;
}

// What becomes of a product.
struct Output {
  float* c;
  Int stride;          // from row to row
  Int filters;         // floats in a row
  const float* start;  // a row to begin with, padded to whole vectors; null: zeros
  bool add;            // to what c holds; its rows then are whole vectors
  bool relu;
};

// Every loop over p and v must unroll, or the sums leave the registers.
#define DENPA_EACH_P _Pragma("GCC unroll 8") for (int p = 0; p < P; ++p)
#define DENPA_EACH_V _Pragma("GCC unroll 8") for (int v = 0; v < V; ++v)

template <int P, int V>
void block(const float* a, const int* rows, const int* columns, Int depth, const float* b, const Output& out, Int row,
           Int vector) {
  const float* origin[P];
  Vector sum[P][V];
  DENPA_EACH_P origin[p] = a + rows[p];
  if (out.start) {
    DENPA_EACH_V {
      const Vector start = load(out.start + (vector + v) * kLanes);
      DENPA_EACH_P sum[p][v] = start;
    }
  } else {
    DENPA_EACH_P DENPA_EACH_V sum[p][v] = Vector{};
  }
  for (Int j = 0; j < depth; ++j, b += V * kLanes) {
    const Int column = columns[j];
    Vector right[V];
    DENPA_EACH_V right[v] = load(b + v * kLanes);
    DENPA_EACH_P {
      const Vector left = broadcast(origin[p][column]);
      DENPA_EACH_V sum[p][v] = sum[p][v] + left * right[v];
    }
  }
  // Each question is asked once for the block, not once for each vector.
  const Int stride = out.stride;
  float* const c = out.c + row * stride + vector * kLanes;
  const Int lanes = out.filters - vector * kLanes;
  if (out.add) {
    DENPA_EACH_P DENPA_EACH_V sum[p][v] = sum[p][v] + load(c + p * stride + v * kLanes);
  }
  if (out.relu) {
    DENPA_EACH_P DENPA_EACH_V sum[p][v] = relu(sum[p][v]);
  }
  if (lanes >= V * kLanes) {
    DENPA_EACH_P DENPA_EACH_V store(c + p * stride + v * kLanes, sum[p][v]);
  } else {
    // Where rows follow one another, a whole vector may reach into the next rows of the block: they are written after it.
    const Int room = stride == lanes ? P * stride : 0;
    DENPA_EACH_P DENPA_EACH_V if (lanes > v * kLanes) {
      const Int at = p * stride + v * kLanes;
      store(c + at, sum[p][v], at + kLanes <= room ? kLanes : lanes - v * kLanes);
    }
  }
}

using Block = decltype(&block<1, 1>);

template <int V>
constexpr Block block_of(Int rows) {
  constexpr Block blocks[kMostRows] = {
      block<1, V>, block<2, V>,
      block<3, V>, block<4, V>,
      block<least(5, rows_for(V)), V>, block<least(6, rows_for(V)), V>,
      block<least(7, rows_for(V)), V>, block<least(8, rows_for(V)), V>};
  return blocks[rows - 1];
}

inline Block block_of(Int rows, Int vectors) {
  switch (vectors) {
    case 1: return block_of<1>(rows);
    case 2: return block_of<2>(rows);
    case 3: return block_of<3>(rows);
    default: return block_of<kMostVectors>(rows);
  }
}

// One panel of the product. Rows are dealt out evenly (49 = 4 x 6 + 5 x 5): a short last block would be slow.
void multiply_panel(const float* a, const int* rows, Int count, const int* columns, Int depth, const float* panel,
                    Int width, Int vector, const Output& out) {
  const Int blocks = divide_up(count, rows_for(int(width)));
  const Int size = count / blocks, larger = count % blocks;
  const Block large = larger ? block_of(size + 1, width) : nullptr, small = block_of(size, width);
  for (Int n = 0, row = 0; n < blocks; ++n) {
    (n < larger ? large : small)(a, rows + row, columns, depth, panel, out, row, vector);
    row += size + (n < larger);
  }
}

// The whole product, panel by panel.
void multiply(const float* a, const int* rows, Int count, const int* columns, Int depth, const float* panels,
              const Output& out) {
  const Int all = vectors(out.filters);
  for (Int vector = 0, width; vector < all; vector += width) {
    width = panel_width(all - vector);
    multiply_panel(a, rows, count, columns, depth, panels + vector * kLanes * depth, width, vector, out);
  }
}

}  // namespace
}  // namespace denpa
