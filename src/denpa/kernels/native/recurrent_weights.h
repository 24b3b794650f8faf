// The gradients of a recurrent layer's weights, from the deltas of all steps.
//
// A piece is some columns of one gate's deltas, with all rows of x and h: the sums need no second thread. Samples go
// through it by kDepth at a time, so that their x and h stay in the cache while all columns of the piece meet them.
#pragma once

#include "recurrent.h"

namespace denpa {
namespace {

constexpr Int kMostSums = 1 << 18;  // of a piece, about, so that they stay in the second-level cache

struct WeightsLayout {
  Int groups, parts, features, width, scratch;  // of columns: a gate's are cut into parts of `width`
  int *rows, *columns;
  float *panel, *sums;

  WeightsLayout(const RecurrentWeights& p, Int threads, char* base)
      : groups(p.gates + (p.inner_is == Inner::delta)), features(p.inputs + p.units) {
    const Int all = vectors(p.units), fewest = divide_up(features * p.units, kMostSums);
    width = divide_up(all, least(all, most(fewest, divide_up(2 * threads, groups)))) * kLanes;
    parts = divide_up(all * kLanes, width);
    Carver from{base};
    rows = from.take<int>(most(p.inputs, p.units));
    columns = from.take<int>(2 * kDepth);
    panel = from.take<float>(kDepth * kMostVectors * kLanes);
    sums = from.take<float>((features + 1) * width);
    scratch = from.used;
  }
};

Needs weights_needs(const RecurrentWeights& p, Int threads) {
  const WeightsLayout at(p, threads, nullptr);
  return {0, at.groups * at.parts, 0, 0, at.scratch};
}

// Columns of delta, and what they meet.
struct Meeting {
  const float* delta;
  Int stride, width;
  bool x, h;
  const float* state;  // instead of h, if it is there: what the columns meet in the same sample

  Meeting(const RecurrentWeights& p, Int group, Int column, Int most_columns)
      : delta(p.delta + group * p.units + column),
        stride(p.gates * p.units),
        width(least(most_columns, p.units - column)),
        x(group < p.gates && p.inputs > 0),
        h(true),
        state(nullptr) {
    if (group == p.gates) delta = p.inner + column, stride = p.units;
    if (group == p.gates - 1 && p.inner_is == Inner::delta) h = false;
    if (group == p.gates - 1 && p.inner_is == Inner::state) state = p.inner;
  }
};

// Adds what `count` samples from `sample` on give, whose h begins at `h`. Behind all features lies the bias.
void add_samples(const RecurrentWeights& p, const WeightsLayout& at, const Meeting& its, Int sample, const float* h,
                 Int count) {
  const Int own = vectors(its.width);
  if (its.state) h = its.state + sample * p.units;
  for (Int vector = 0, width; vector < own; vector += width) {
    width = panel_width(own - vector);
    float* const bias = at.sums + at.features * at.width + vector * kLanes;
    for (Int v = 0; v < width; ++v) {
      const Int column = (vector + v) * kLanes;
      Vector sum = load(bias + v * kLanes);
      for (Int k = 0; k < count; ++k) {
        const Vector delta = load(its.delta + (sample + k) * its.stride + column, its.width - column);
        store(at.panel + (k * width + v) * kLanes, delta);
        sum = sum + delta;
      }
      store(bias + v * kLanes, sum);
    }
    const Output x{at.sums, at.width, at.width, nullptr, true, false};
    const Output state{at.sums + p.inputs * at.width, at.width, at.width, nullptr, true, false};
    if (its.x)
      multiply_panel(p.x + sample * p.inputs, at.rows, p.inputs, at.columns, count, at.panel, width, vector, x);
    if (its.h) multiply_panel(h, at.rows, p.units, at.columns + kDepth, count, at.panel, width, vector, state);
  }
}

void weights_run(const RecurrentWeights& p, Int threads, const char*, char* scratch, Int piece) {
  const WeightsLayout at(p, threads, scratch);
  const Int group = piece / at.parts, column = piece % at.parts * at.width, samples = p.steps * p.batch;
  const Meeting its(p, group, column, at.width);
  for (Int i = 0; i < most(p.inputs, p.units); ++i) at.rows[i] = int(i);
  for (int k = 0; k < kDepth; ++k) at.columns[k] = int(k * p.inputs), at.columns[kDepth + k] = int(k * p.units);
  for (Int i = 0; i < (at.features + 1) * at.width; i += kLanes) store(at.sums + i, Vector{});
  // The first step in time has the initial h before it, the others that of their neighbour.
  const Int start = p.reverse ? samples - p.batch : 0;
  for (Int k = 0; k < p.batch; k += kDepth)
    add_samples(p, at, its, start + k, p.first + k * p.units, least(kDepth, p.batch - k));
  for (Int k = 0; k < samples - p.batch; k += kDepth)
    add_samples(p, at, its, p.reverse ? k : p.batch + k, p.after + (p.reverse ? p.batch + k : k) * p.units,
                least(kDepth, samples - p.batch - k));
  const auto give = [&](const float* sums, float* to) {
    for (Int f = 0; f < its.width; f += kLanes) store(to + f, load(sums + f), its.width - f);
  };
  const Int gate = least(group, p.gates - 1), all = p.gates * p.units, to = gate * p.units + column;
  for (Int row = 0; its.x && row < p.inputs; ++row) give(at.sums + row * at.width, p.dWx + row * all + to);
  for (Int row = 0; its.h && row < p.units; ++row)
    give(at.sums + (p.inputs + row) * at.width, p.dWh + row * all + to);
  give(at.sums + at.features * at.width, group < p.gates ? p.db + to : p.dbh + column);
}

}  // namespace
}  // namespace denpa
