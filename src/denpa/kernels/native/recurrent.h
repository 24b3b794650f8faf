// Recurrent layers, the whole sequence in one call. A piece of work is some sequences of the batch with all their steps,
// so that no thread waits for another between two steps.
//
// Forward, Wh is packed by blocks of units with the gates of a block side by side: their sums stay in the first-level
// cache until the gates are made of them. Home, the deltas of all gates go through Wh transposed in one product.
#pragma once

#include "block.h"

namespace denpa {
namespace {

constexpr Int kUnits = 16;      // units of a block: one gate's sums fill a cache line
constexpr Int kDepth = 128;     // rows of a panel, so that it stays in the first-level cache
constexpr Int kSequences = 64;  // the most in a piece of work

// x P(x^2) / Q(x^2) with the least relative error for |x| < 9.02, 2e-8 before rounding; beyond, tanh x rounds to 1.
// The bounds are asked for in an order that lets through what is not a number.
inline Vector tanh(Vector x) {
  const Vector end = broadcast(9.02f), one = broadcast(1.0f);
  x = end < x ? end : x;
  x = -end > x ? -end : x;
  const Vector y = x * x;
  const Vector above = (((1.331906765e-8f * y + 2.058347832e-5f) * y + 3.494034405e-3f) * y + 0.1337971784f) * y + 1.0f;
  const Vector below = (((7.762017715e-7f * y + 3.283092563e-4f) * y + 2.587107267e-2f) * y + 0.4671303309f) * y + 1.0f;
  const Vector ratio = x * above / below;
  const Vector low = one < ratio ? one : ratio;
  return -one > low ? -one : low;
}

inline Vector sigmoid(Vector x) { return 0.5f * tanh(0.5f * x) + 0.5f; }

// How a batch is cut. The cut depends on the number of threads, and no sum depends on the cut.
struct Share {
  Int size, items;
  Share(Int batch, Int threads) : size(divide_up(batch, round_up(divide_up(batch, kSequences), threads))) {
    items = divide_up(batch, size);
  }
};

// The left operand of a product: `count` rows, one behind the other.
struct Rows {
  const float* data;
  Int count, stride;
};

// c = a b, with b packed to panels of kDepth rows.
void multiply(const Rows& a, Int depth, const float* b, Output out) {
  int rows[kSequences], columns[kDepth];
  for (Int i = 0; i < a.count; ++i) rows[i] = int(i * a.stride);
  for (int k = 0; k < kDepth; ++k) columns[k] = k;
  for (Int k = 0; k < depth; k += kDepth) {
    multiply(a.data + k, rows, a.count, columns, least(kDepth, depth - k), b + k * vectors(out.filters) * kLanes, out);
    out.start = nullptr;
    out.add = true;
  }
}

// Packs kDepth rows of b, fewer at the end, from `row` on; `entry(k, f)` gives its entries, zeros beyond its last column.
template <class Entry>
void pack(float* to, Int row, Int depth, Int columns, Entry entry) {
  const Int all = vectors(columns), rows = least(kDepth, depth - row);
  to += row * all * kLanes;
  for (Int vector = 0, width; vector < all; vector += width) {
    width = panel_width(all - vector);
    for (Int k = 0; k < rows; ++k)
      for (Int f = 0; f < width * kLanes; ++f) to[k * width * kLanes + f] = entry(row + k, vector * kLanes + f);
    to += rows * width * kLanes;
  }
}

// One vector of units of one sequence, at one step, in arrays (time, batch, gates, units).
struct Place {
  Int row, units, unit, lanes;  // row: time * batch + sequence

  Vector read(const float* from, Int gates = 1, Int gate = 0) const { return load(from + at(gates, gate), lanes); }
  void write(float* to, Vector value, Int gates = 1, Int gate = 0) const { store(to + at(gates, gate), value, lanes); }
  Int at(Int gates, Int gate) const { return (row * gates + gate) * units + unit; }
};

// Where a step lies in time, and where the carry before it is to be found.
struct Step {
  Int row, before;           // of the first sequence of the batch
  const float* const* carry;  // before it: the initial one, or those of all steps

  template <class Problem>
  Step(const Problem& p, Int step)
      : row((p.reverse ? p.steps - 1 - step : step) * p.batch),
        before(step == 0 ? 0 : p.reverse ? row + p.batch : row - p.batch),
        carry(step == 0 ? p.first : p.carry) {}
};

// i, f, o = sigmoid(u), g = tanh(u), c = f c' + i g, h = o tanh(c); the gates side by side as i f g o.
struct Lstm {
  static constexpr Int kGates = 4, kCarries = 2;

  static void forward(const Recurrence& p, const Place& at, const Place& before, const Step& step, const float* sums) {
    const auto u = [&](Int gate) { return load(sums + gate * kUnits) + at.read(p.drive, kGates, gate); };
    const Vector i = sigmoid(u(0)), f = sigmoid(u(1)), g = tanh(u(2)), o = sigmoid(u(3));
    const Vector c = f * before.read(step.carry[1]) + i * g;
    at.write(p.gates, i, kGates, 0);
    at.write(p.gates, f, kGates, 1);
    at.write(p.gates, g, kGates, 2);
    at.write(p.gates, o, kGates, 3);
    at.write(p.after[1], c);
    at.write(p.after[0], o * tanh(c));
  }

  // dh and dc come in and go out as what reaches h' and c' directly.
  static void home(const RecurrenceHome& p, const Place& at, const Place& before, const Step& step, Vector dh,
                   float* dcarry, Int part) {
    const Vector i = at.read(p.gates, kGates, 0), f = at.read(p.gates, kGates, 1);
    const Vector g = at.read(p.gates, kGates, 2), o = at.read(p.gates, kGates, 3);
    const Vector squashed = tanh(at.read(p.carry[1]));
    const Vector dc = load(dcarry + part) + dh * o * (1.0f - squashed * squashed);
    at.write(p.delta, dc * g * i * (1.0f - i), kGates, 0);
    at.write(p.delta, dc * before.read(step.carry[1]) * f * (1.0f - f), kGates, 1);
    at.write(p.delta, dc * i * (1.0f - g * g), kGates, 2);
    at.write(p.delta, dh * squashed * o * (1.0f - o), kGates, 3);
    store(dcarry + part, dc * f);
  }
};

// ------------------------------------------------------------------------------------------------------ forward

template <class Cell>
struct ForwardLayout {
  static constexpr Int kWidth = Cell::kGates * kUnits;
  Share share;
  Int blocks, shared, scratch;
  float *panels, *start, *sums;

  ForwardLayout(const Recurrence& p, Int threads, char* shared_base, char* scratch_base)
      : share(p.batch, threads), blocks(divide_up(p.units, kUnits)) {
    Carver from_shared{shared_base}, from_scratch{scratch_base};
    panels = from_shared.take<float>(blocks * p.units * kWidth);
    start = from_shared.take<float>(blocks * kWidth);
    sums = from_scratch.take<float>(share.size * kWidth);
    shared = from_shared.used;
    scratch = from_scratch.used;
  }
};

template <class Cell>
Needs forward_needs(const Recurrence& p, Int threads) {
  const ForwardLayout<Cell> at(p, threads, nullptr, nullptr);
  return {at.blocks, at.share.items, 0, at.shared, at.scratch};
}

template <class Cell>
void forward_open(const Recurrence& p, Int threads, char* shared, Int block) {
  const ForwardLayout<Cell> at(p, threads, shared, nullptr);
  const auto entry = [&](const float* row, Int f) {
    const Int unit = block * kUnits + f % kUnits;
    return unit < p.units ? row[f / kUnits * p.units + unit] : 0.0f;
  };
  for (Int f = 0; f < at.kWidth; ++f) at.start[block * at.kWidth + f] = entry(p.bias, f);
  for (Int k = 0; k < p.units; k += kDepth)
    pack(at.panels + block * p.units * at.kWidth, k, p.units, at.kWidth,
         [&](Int row, Int f) { return entry(p.Wh + row * Cell::kGates * p.units, f); });
}

template <class Cell>
void forward_run(const Recurrence& p, Int threads, const char* shared, char* scratch, Int item) {
  const ForwardLayout<Cell> at(p, threads, const_cast<char*>(shared), scratch);
  const Int first = item * at.share.size, count = least(at.share.size, p.batch - first), n = p.units;
  for (Int t = 0; t < p.steps; ++t) {
    const Step step(p, t);
    const Rows h{step.carry[0] + (step.before + first) * n, count, n};
    for (Int block = 0; block < at.blocks; ++block) {
      for (Int row = 0; row < count; ++row)  // lines far from each other, which come while the product is computed
        for (Int gate = 0; gate < Cell::kGates; ++gate)
          __builtin_prefetch(p.drive + ((step.row + first + row) * Cell::kGates + gate) * n + block * kUnits);
      multiply(h, n, at.panels + block * n * at.kWidth,
               {at.sums, at.kWidth, at.kWidth, at.start + block * at.kWidth, false, false});
      for (Int row = 0; row < count; ++row)
        for (Int unit = block * kUnits; unit < least(n, (block + 1) * kUnits); unit += kLanes)
          Cell::forward(p, {step.row + first + row, n, unit, n - unit}, {step.before + first + row, n, unit, n - unit},
                        step, at.sums + row * at.kWidth + unit % kUnits);
    }
  }
}

// --------------------------------------------------------------------------------------------------------- home

template <class Cell>
struct HomeLayout {
  Share share;
  Int padded, part, depth, shared, scratch;  // part: from dh to dc
  float *panels, *dcarry;

  HomeLayout(const RecurrenceHome& p, Int threads, char* shared_base, char* scratch_base)
      : share(p.batch, threads),
        padded(vectors(p.units) * kLanes),
        part(share.size * padded),
        depth(Cell::kGates * p.units) {
    Carver from_shared{shared_base}, from_scratch{scratch_base};
    panels = from_shared.take<float>(depth * padded);
    dcarry = from_scratch.take<float>(Cell::kCarries * part);
    shared = from_shared.used;
    scratch = from_scratch.used;
  }
};

template <class Cell>
Needs home_needs(const RecurrenceHome& p, Int threads) {
  const HomeLayout<Cell> at(p, threads, nullptr, nullptr);
  return {divide_up(at.depth, kDepth), at.share.items, 0, at.shared, at.scratch};
}

template <class Cell>
void home_open(const RecurrenceHome& p, Int threads, char* shared, Int piece) {
  const HomeLayout<Cell> at(p, threads, shared, nullptr);
  pack(at.panels, piece * kDepth, at.depth, p.units,
       [&](Int row, Int f) { return f < p.units ? p.Wh[f * at.depth + row] : 0.0f; });
}

template <class Cell>
void home_run(const RecurrenceHome& p, Int threads, const char* shared, char* scratch, Int item) {
  const HomeLayout<Cell> at(p, threads, const_cast<char*>(shared), scratch);
  const Int first = item * at.share.size, count = least(at.share.size, p.batch - first), n = p.units;
  // Calls work(row, unit, its place in dcarry) for every vector of units of these sequences.
  const auto each = [&](const auto& work) {
    for (Int row = 0; row < count; ++row)
      for (Int unit = 0; unit < n; unit += kLanes) work(first + row, unit, at.dcarry + row * at.padded + unit);
  };
  each([&](Int row, Int unit, float* dcarry) {
    const Place place{row, n, unit, n - unit};
    for (Int i = 0; i < Cell::kCarries; ++i) store(dcarry + i * at.part, place.read(p.dfinal[i]));
  });
  for (Int t = p.steps - 1; t >= 0; --t) {
    const Step step(p, t);
    each([&](Int row, Int unit, float* dcarry) {
      const Place now{step.row + row, n, unit, n - unit}, before{step.before + row, n, unit, n - unit};
      const Vector dh = p.dy ? load(dcarry) + now.read(p.dy) : load(dcarry);
      Cell::home(p, now, before, step, dh, dcarry, at.part);
    });
    const Rows delta{p.delta + (step.row + first) * at.depth, count, at.depth};
    multiply(delta, at.depth, at.panels, {at.dcarry, at.padded, at.padded, nullptr, false, false});
  }
  each([&](Int row, Int unit, const float* dcarry) {
    const Place place{row, n, unit, n - unit};
    for (Int i = 0; i < Cell::kCarries; ++i) place.write(p.dfirst[i], load(dcarry + i * at.part));
  });
}

// -------------------------------------------------------------------------------------------- gradients of weights

// A piece is some columns of delta, with all rows of x and h: the sums need no second thread. Samples go through it by
// kDepth at a time, so that their x and h stay in the cache while all columns of the piece meet them.
struct WeightsLayout {
  Int all, pieces, features, width, scratch;  // in vectors: all columns; in floats: those of a piece
  int *rows, *x_columns, *h_columns;
  float *panel, *sums;

  WeightsLayout(const RecurrentWeights& p, Int threads, char* base)
      : all(vectors(p.columns)), pieces(least(all, 2 * threads)), features(p.inputs + p.units) {
    width = divide_up(all, pieces) * kLanes;
    pieces = divide_up(all * kLanes, width);
    Carver from{base};
    rows = from.take<int>(most(p.inputs, p.units));
    x_columns = from.take<int>(kDepth);
    h_columns = from.take<int>(kDepth);
    panel = from.take<float>(kDepth * kMostVectors * kLanes);
    sums = from.take<float>((features + 1) * width);
    scratch = from.used;
  }
};

Needs weights_needs(const RecurrentWeights& p, Int threads) {
  const WeightsLayout at(p, threads, nullptr);
  return {0, at.pieces, 0, 0, at.scratch};
}

// Adds what `count` samples from `sample` on give, whose h begins at `h`. Behind all features lies the bias.
void add_samples(const RecurrentWeights& p, const WeightsLayout& at, Int column, Int sample, const float* h, Int count) {
  const Int own = vectors(least(at.width, p.columns - column));
  for (Int vector = 0, width; vector < own; vector += width) {
    width = panel_width(own - vector);
    const Int first = column + vector * kLanes;
    float* const bias = at.sums + at.features * at.width + vector * kLanes;
    for (Int v = 0; v < width; ++v) {
      Vector sum = load(bias + v * kLanes);
      for (Int k = 0; k < count; ++k) {
        const Vector delta = load(p.delta + (sample + k) * p.columns + first + v * kLanes, p.columns - first - v * kLanes);
        store(at.panel + (k * width + v) * kLanes, delta);
        sum = sum + delta;
      }
      store(bias + v * kLanes, sum);
    }
    const Output x{at.sums, at.width, at.width, nullptr, true, false};
    const Output state{at.sums + p.inputs * at.width, at.width, at.width, nullptr, true, false};
    if (p.inputs > 0)
      multiply_panel(p.x + sample * p.inputs, at.rows, p.inputs, at.x_columns, count, at.panel, width, vector, x);
    multiply_panel(h, at.rows, p.units, at.h_columns, count, at.panel, width, vector, state);
  }
}

void weights_run(const RecurrentWeights& p, Int threads, const char*, char* scratch, Int piece) {
  const WeightsLayout at(p, threads, scratch);
  const Int column = piece * at.width, samples = p.steps * p.batch, floats = (at.features + 1) * at.width;
  for (Int i = 0; i < most(p.inputs, p.units); ++i) at.rows[i] = int(i);
  for (int k = 0; k < kDepth; ++k) at.x_columns[k] = int(k * p.inputs), at.h_columns[k] = int(k * p.units);
  for (Int i = 0; i < floats; i += kLanes) store(at.sums + i, Vector{});
  // The first step in time has the initial h before it, the others that of their neighbour.
  const Int start = p.reverse ? samples - p.batch : 0;
  for (Int k = 0; k < p.batch; k += kDepth)
    add_samples(p, at, column, start + k, p.first + k * p.units, least(kDepth, p.batch - k));
  for (Int k = 0; k < samples - p.batch; k += kDepth)
    add_samples(p, at, column, p.reverse ? k : p.batch + k, p.after + (p.reverse ? p.batch + k : k) * p.units,
                least(kDepth, samples - p.batch - k));
  for (Int row = 0; row <= at.features; ++row) {
    float* const to = row < p.inputs     ? p.dWx + row * p.columns
                      : row < at.features ? p.dWh + (row - p.inputs) * p.columns
                                          : p.db;
    for (Int f = column; f < least(p.columns, column + at.width); f += kLanes)
      store(to + f, load(at.sums + row * at.width + f - column), p.columns - f);
  }
}

}  // namespace
}  // namespace denpa
