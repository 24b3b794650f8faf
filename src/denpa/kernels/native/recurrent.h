// Recurrent layers, the whole sequence in one call. A piece of work is some sequences of the batch with all their steps,
// so that no thread waits for another between two steps.
//
// Forward, Wh is packed by blocks of units with the gates of a block side by side: their sums stay in the first-level
// cache until the gates are made of them. Backward, deltas go through Wh transposed. A cell of cells.h says which gates
// a product has, in which order the products come, and what is done element by element around them.
#pragma once

#include "block.h"

namespace denpa {
namespace {

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

  // No step at all: the carry alone.
  template <class Problem>
  explicit Step(const Problem& p) : row(0), before(0), carry(p.first) {}
};

// A product of a step: neighbouring gates, and how many units a block of them has.
struct Product {
  Int gate, gates, units;
  constexpr Int width() const { return gates * units; }
};

// ------------------------------------------------------------------------------------------------------ forward

// One vector of units in the midst of a step: sums + drive = u.
struct Forward {
  const Recurrence& p;
  const Step& step;
  Place at, before;
  const Product& product;
  const float* sums;
  float* inner;  // what a second product of the step reads

  Vector sum(Int gate) const { return load(sums + (gate - product.gate) * product.units); }
  Vector u(Int gates, Int gate) const { return sum(gate) + at.read(p.drive, gates, gate); }
  Vector earlier(Int part) const { return before.read(step.carry[part]); }
};

template <class Cell>
struct ForwardLayout {
  static constexpr int kProducts = sizeof Cell::kForward / sizeof(Product);
  Share share;
  Int blocks[kProducts], all, shared, scratch;
  float *panels[kProducts], *start[kProducts], *sums, *inner;

  ForwardLayout(const Recurrence& p, Int threads, char* shared_base, char* scratch_base)
      : share(p.batch, threads), all(0) {
    Carver from_shared{shared_base}, from_scratch{scratch_base};
    Int width = 0;
    for (int i = 0; i < kProducts; ++i) {
      const Product& product = Cell::kForward[i];
      blocks[i] = divide_up(p.units, product.units);
      panels[i] = from_shared.take<float>(blocks[i] * p.units * product.width());
      start[i] = from_shared.take<float>(blocks[i] * product.width());
      all += blocks[i];
      width = most(width, product.width());
    }
    sums = from_scratch.take<float>(share.size * width);
    inner = from_scratch.take<float>(kProducts > 1 ? share.size * p.units : 0);
    shared = from_shared.used;
    scratch = from_scratch.used;
  }
};

template <class Cell>
Needs forward_needs(const Recurrence& p, Int threads) {
  const ForwardLayout<Cell> at(p, threads, nullptr, nullptr);
  return {at.all, at.share.items, 0, at.shared, at.scratch};
}

template <class Cell>
void forward_open(const Recurrence& p, Int threads, char* shared, Int block) {
  const ForwardLayout<Cell> at(p, threads, shared, nullptr);
  int i = 0;
  for (; block >= at.blocks[i]; ++i) block -= at.blocks[i];
  const Product& product = Cell::kForward[i];
  const Int width = product.width();
  const auto entry = [&](const float* row, Int f, Int gate) {
    const Int unit = block * product.units + f % product.units;
    return unit < p.units ? row[gate * p.units + unit] : 0.0f;
  };
  for (Int f = 0; f < width; ++f)
    at.start[i][block * width + f] = entry(p.bias, f, Cell::bias(product.gate + f / product.units));
  for (Int k = 0; k < p.units; k += kDepth)
    pack(at.panels[i] + block * p.units * width, k, p.units, width, [&](Int row, Int f) {
      return entry(p.Wh + row * Cell::kGates * p.units, f, product.gate + f / product.units);
    });
}

template <class Cell>
void forward_run(const Recurrence& p, Int threads, const char* shared, char* scratch, Int item) {
  const ForwardLayout<Cell> at(p, threads, const_cast<char*>(shared), scratch);
  const Int first = item * at.share.size, count = least(at.share.size, p.batch - first), n = p.units;
  for (Int t = 0; t < p.steps; ++t) {
    const Step step(p, t);
    for (int i = 0; i < at.kProducts; ++i) {
      const Product& product = Cell::kForward[i];
      const Int size = product.units, width = product.width();
      const Rows left{i == 0 ? step.carry[0] + (step.before + first) * n : at.inner, count, n};
      for (Int block = 0; block < at.blocks[i]; ++block) {
        for (Int row = 0; row < count; ++row)  // lines far from each other, which come while the product is computed
          for (Int gate = 0; gate < product.gates; ++gate)
            for (Int unit = 0; unit < size; unit += kLine / Int(sizeof(float)))
              __builtin_prefetch(p.drive + ((step.row + first + row) * Cell::kGates + product.gate + gate) * n +
                                 block * size + unit);
        multiply(left, n, at.panels[i] + block * n * width,
                 {at.sums, width, width, at.start[i] + block * width, false, false});
        for (Int row = 0; row < count; ++row)
          for (Int unit = block * size; unit < least(n, (block + 1) * size); unit += kLanes)
            Cell::forward({p, step, {step.row + first + row, n, unit, n - unit},
                           {step.before + first + row, n, unit, n - unit}, product,
                           at.sums + row * width + unit % size, at.inner + row * n + unit});
      }
    }
  }
}

// ----------------------------------------------------------------------------------------------------- backward

// In scratch lie Cell::kParts arrays (sequences, units): first what reaches the carry, then what the cell wants beside.
template <class Cell>
struct BackwardLayout {
  static constexpr int kProducts = sizeof Cell::kBackward / sizeof(Product);
  Share share;
  Int padded, part, shared, scratch;  // part: from one array to the next
  float *panels, *parts;

  BackwardLayout(const RecurrenceBackward& p, Int threads, char* shared_base, char* scratch_base)
      : share(p.batch, threads), padded(vectors(p.units) * kLanes), part(share.size * padded) {
    Carver from_shared{shared_base}, from_scratch{scratch_base};
    panels = from_shared.take<float>(Cell::kGates * p.units * padded);
    parts = from_scratch.take<float>(Cell::kParts * part);
    shared = from_shared.used;
    scratch = from_scratch.used;
  }
};

template <class Cell>
Needs backward_needs(const RecurrenceBackward& p, Int threads) {
  const BackwardLayout<Cell> at(p, threads, nullptr, nullptr);
  Int pieces = 0;
  for (const Product& product : Cell::kBackward) pieces += divide_up(product.gates * p.units, kDepth);
  return {pieces, at.share.items, 0, at.shared, at.scratch};
}

template <class Cell>
void backward_open(const RecurrenceBackward& p, Int threads, char* shared, Int piece) {
  const BackwardLayout<Cell> at(p, threads, shared, nullptr);
  int i = 0;
  for (Int own; piece >= (own = divide_up(Cell::kBackward[i].gates * p.units, kDepth)); ++i) piece -= own;
  const Int depth = Cell::kBackward[i].gates * p.units, first = Cell::kBackward[i].gate * p.units;
  pack(at.panels + first * at.padded, piece * kDepth, depth, p.units, [&](Int row, Int f) {
    return f < p.units ? p.Wh[f * Cell::kGates * p.units + first + row] : 0.0f;
  });
}

// One vector of units in the midst of a step backward.
struct Backward {
  const RecurrenceBackward& p;
  const Step& step;
  Place at, before;
  float* parts;
  Int part;

  Vector read(Int i) const { return load(parts + i * part); }
  void write(Int i, Vector value) const { store(parts + i * part, value); }
  Vector earlier(Int i) const { return before.read(step.carry[i]); }
  Vector e() const { return p.dy ? read(0) + at.read(p.dy) : read(0); }  // what reaches h
};

// Some sequences of the batch, to be walked backward.
template <class Cell>
struct Walk {
  const RecurrenceBackward& p;
  const BackwardLayout<Cell>& at;
  Int first, count;

  // Calls work for every vector of units of these sequences.
  template <class Work>
  void each(const Step& step, const Work& work) const {
    const Int n = p.units;
    for (Int row = 0; row < count; ++row)
      for (Int unit = 0; unit < n; unit += kLanes)
        work(Backward{p, step, {step.row + first + row, n, unit, n - unit},
                      {step.before + first + row, n, unit, n - unit}, at.parts + row * at.padded + unit, at.part});
  }

  // The product of this number with the deltas, or with what is in `inner`, goes to a part or is added to it.
  void multiply(const Step& step, int number, bool inner, Int to, bool add) const {
    const Product& product = Cell::kBackward[number];
    const Int n = p.units, stride = inner ? n : Cell::kGates * n;
    const float* const left = inner ? p.inner : p.delta + product.gate * n;
    denpa::multiply({left + (step.row + first) * stride, count, stride}, product.gates * n,
                    at.panels + product.gate * n * at.padded,
                    {at.parts + to * at.part, at.padded, at.padded, nullptr, add, false});
  }
};

template <class Cell>
void backward_run(const RecurrenceBackward& p, Int threads, const char* shared, char* scratch, Int item) {
  const BackwardLayout<Cell> at(p, threads, const_cast<char*>(shared), scratch);
  const Int first = item * at.share.size;
  const Walk<Cell> walk{p, at, first, least(at.share.size, p.batch - first)};
  const Step none(p);
  walk.each(none, [&](const Backward& s) {
    for (Int i = 0; i < Cell::kCarries; ++i) s.write(i, s.at.read(p.dfinal[i]));
  });
  for (Int t = p.steps - 1; t >= 0; --t) Cell::backward(walk, Step(p, t));
  walk.each(none, [&](const Backward& s) {
    for (Int i = 0; i < Cell::kCarries; ++i) s.at.write(p.dfirst[i], s.read(i));
  });
}

}  // namespace
}  // namespace denpa
