// Winograd's F(4x4, 3x3): a tile of 4 x 4 outputs from a patch of 6 x 6 inputs with 36 products instead of 144.
//
//     Y = A' [(G g G') * (B' d B)] A      (Lavin and Gray 2016, equation 10; points 0, 1, -1, 2, -2, infinity)
//
// d is the patch, g the kernel, * the product point by point, ' the transpose. Summed over the channels, each of the
// 36 points is a product of matrices, tiles by channels times channels by filters. The gradient of the kernel is the
// adjoint, and the sum over all tiles is taken before the last transform:
//
//     dg = G' [sum over tiles of (B' d B) * (A dY A')] G
#pragma once

#include "direct.h"
#include "square.h"

namespace denpa {
namespace {

constexpr int kTile = 4, kPatch = 6, kPoints = kPatch * kPatch;
constexpr Int kGroup = 48;  // tiles that are transformed together, so that their 36 matrices stay in the cache

// The five transforms of one column or row.

// B' d
constexpr auto to_points = [](const Vector* d, Vector* t) {
  const Vector even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1], near = d[4] - d[2], far = 2.0f * (d[3] - d[1]);
  t[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = near + far;
  t[4] = near - far;
  t[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
};

// G g
constexpr auto kernel_to_points = [](const Vector* g, Vector* t) {
  const Vector ends = (g[0] + g[2]) * (-1 / 6.0f), middle = g[1] * (1 / 6.0f);
  const Vector even = g[0] * (1 / 24.0f) + g[2] * (1 / 6.0f), odd = g[1] * (1 / 12.0f);
  t[0] = g[0] * 0.25f;
  t[1] = ends - middle;
  t[2] = ends + middle;
  t[3] = even + odd;
  t[4] = even - odd;
  t[5] = g[2];
};

// A' m
constexpr auto from_points = [](const Vector* m, Vector* y) {
  const Vector sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
  y[0] = m[0] + sum + sum2;
  y[1] = difference + 2.0f * difference2;
  y[2] = sum + 4.0f * sum2;
  y[3] = difference + 8.0f * difference2 + m[5];
};

// A y, the adjoint of A' m
constexpr auto delta_to_points = [](const Vector* y, Vector* t) {
  const Vector even = y[0] + y[2], odd = y[1] + y[3];
  const Vector even2 = y[0] + 4.0f * y[2], odd2 = 2.0f * y[1] + 8.0f * y[3];
  t[0] = y[0];
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = even2 + odd2;
  t[4] = even2 - odd2;
  t[5] = y[3];
};

// G' t, the adjoint of G g
constexpr auto kernel_from_points = [](const Vector* t, Vector* g) {
  const Vector sum = t[1] + t[2], sum2 = t[3] + t[4];
  g[0] = t[0] * 0.25f - sum * (1 / 6.0f) + sum2 * (1 / 24.0f);
  g[1] = (t[2] - t[1]) * (1 / 6.0f) + (t[3] - t[4]) * (1 / 12.0f);
  g[2] = (sum2 - sum) * (1 / 6.0f) + t[5];
};

// Applies a transform to the columns and then to the rows: `in` gives the values, `out` takes the results.
// What the two capture, they capture by value: a reference might point to what `out` stores. The outer loops stay
// loops, since 36 addresses at once would not fit into the registers.
template <int From, int To, class Transform, class In, class Out>
inline __attribute__((always_inline)) void both_ways(Transform transform, In in, Out out) {
  Vector between[To][From];
#pragma GCC unroll 1
  for (int j = 0; j < From; ++j) {
    Vector column[From], transformed[To];
#pragma GCC unroll 6
    for (int i = 0; i < From; ++i) column[i] = in(i, j);
    transform(column, transformed);
#pragma GCC unroll 6
    for (int i = 0; i < To; ++i) between[i][j] = transformed[i];
  }
#pragma GCC unroll 1
  for (int i = 0; i < To; ++i) {
    Vector row[To];
    transform(between[i], row);
#pragma GCC unroll 6
    for (int j = 0; j < To; ++j) out(i, j, row[j]);
  }
}

// How the tiles of a batch are grouped: several small images, or some rows of tiles of a large one.
struct Groups {
  Int batch, down, across, images, rows, bands, items, tiles;

  Groups(Int batch, Int height, Int width, Int threads)
      : batch(batch), down(divide_up(height, kTile)), across(divide_up(width, kTile)) {
    const Int whole = down * across;
    images = most(1, least(batch, kGroup / whole));
    if (images > 1) images = divide_up(batch, round_up(divide_up(batch, images), threads));  // no thread is left over
    bands = images > 1 ? 1 : least(down, divide_up(whole, kGroup + across));
    rows = divide_up(down, bands);
    bands = divide_up(down, rows);
    items = divide_up(batch, images) * bands;
    tiles = images * rows * across;
  }

  struct Part {
    Int image, images, row, rows;
  };
  Part part(Int item) const {
    const Int image = item / bands * images, row = item % bands * rows;
    return {image, least(images, batch - image), row, least(rows, down - row)};
  }
};

// The distance between the matrices of two points: not a multiple of a page, lest all 36 fall into the same sets.
inline Int plane(Int tiles, Int channels) { return round_up(tiles * channels, kLine / 4) + kLine / 4; }

// B' d B for all patches of a part: to[point][tile][channel]
void patches_to_points(float* to, Int distance, float* image, const Frame& frame, const Images& x, Int across,
                       Groups::Part part) {
  const Int channels = x.channels, stride = frame.stride;
  for (Int n = 0; n < part.images; ++n) {
    fill(image, frame, x, part.image + n, part.row * kTile, (part.row + part.rows) * kTile + 2);
    for (Int r = 0; r < part.rows; ++r)
      for (Int c = 0; c < across; ++c, to += channels)
        for (Int channel = 0; channel < channels; channel += kLanes) {
          const float* const corner = image + r * kTile * stride + c * kTile * channels + channel;
          float* const point = to + channel;
          both_ways<6, 6>(
              to_points, [=](int i, int j) { return load(corner + i * stride + j * channels); },
              [=](int i, int j, Vector value) { store(point + (i * kPatch + j) * distance, value); });
        }
  }
}

struct WinogradLayout {
  Groups groups;
  Frame frame;
  int *tile_places, *channel_places;
  float *panels, *start, *image, *inputs, *outputs;
  Int input_distance, output_distance, shared, scratch;

  WinogradLayout(const Correlation& p, Int threads, char* shared_base, char* scratch_base)
      : groups(p.x.batch, p.height, p.width, threads),
        frame(p.top, p.left, groups.down * kTile + 2, groups.across * kTile + 2, p.x.channels),
        input_distance(plane(groups.tiles, p.x.channels)),
        output_distance(plane(groups.tiles, p.filters)) {
    Carver from_shared{shared_base}, from_scratch{scratch_base};
    tile_places = from_shared.take<int>(groups.tiles);
    channel_places = from_shared.take<int>(p.x.channels);
    panels = from_shared.take<float>(kPoints * p.x.channels * p.filters);
    start = from_shared.take<float>(p.filters);
    image = from_scratch.take<float>((groups.rows * kTile + 2) * frame.stride);
    inputs = from_scratch.take<float>(kPoints * input_distance);
    outputs = from_scratch.take<float>(kPoints * output_distance);
    shared = from_shared.used;
    scratch = from_scratch.used;
  }
};

bool winograd_serves(const Correlation& p) {
  return p.kernel_height == 3 && p.kernel_width == 3 && fills_vectors(p.x.channels) && fills_vectors(p.filters);
}

Needs winograd_needs(const Correlation& p, Int threads) {
  const WinogradLayout at(p, threads, nullptr, nullptr);
  return {p.filters / kLanes, at.groups.items, 0, at.shared, at.scratch};
}

// G g G' for one vector of filters, into its place in the panels of the 36 points.
void winograd_open(const Correlation& p, Int threads, char* shared, Int item) {
  const WinogradLayout at(p, threads, shared, nullptr);
  const Int channels = p.x.channels, all = p.filters / kLanes;
  if (item == 0) {
    for (Int t = 0; t < at.groups.tiles; ++t) at.tile_places[t] = int(t * channels);
    for (Int c = 0; c < channels; ++c) at.channel_places[c] = int(c);
    clear(at.start, p.filters);
    if (p.bias) copy(at.start, p.bias, p.filters);
  }
  Int vector = 0, width = panel_width(all);  // of the panel that holds this vector
  while (vector + width <= item) vector += width, width = panel_width(all - vector);
  const Int filters = p.filters, distance = channels * filters;
  for (Int c = 0; c < channels; ++c) {
    float* const to = at.panels + (vector * channels + c * width + item - vector) * kLanes;
    const auto out = [=](int i, int j, Vector value) { store(to + (i * kPatch + j) * distance, value); };
    if (p.flipped) {
      const float* const from = p.kernel + item * kLanes * channels + c;
      const auto turned = [=](int i, int j) {
        Vector value;
        for (int f = 0; f < kLanes; ++f) value[f] = from[((8 - i * 3 - j) * filters + f) * channels];
        return value;
      };
      both_ways<3, 6>(kernel_to_points, turned, out);
    } else {
      const float* const from = p.kernel + c * filters + item * kLanes;
      both_ways<3, 6>(kernel_to_points, [=](int i, int j) { return load(from + (i * 3 + j) * distance); }, out);
    }
  }
}

// A' m A for one tile, and what is asked for behind it. The last tiles of a row or column may reach beyond the image.
void finish_tile(const Correlation& p, const float* from, Int distance, Int image, Int top, Int left) {
  const Int rows = p.height - top, columns = p.width - left, filters = p.filters;
  for (Int f = 0; f < filters; f += kLanes) {
    const auto product = [=](int i, int j) { return load(from + (i * kPatch + j) * distance + f); };
    if (!p.index) {
      const Int width = p.width;
      const bool open = !p.relu;
      float* const y = p.y + ((image * p.height + top) * width + left) * filters + f;
      both_ways<6, 4>(from_points, product, [=](int i, int j, Vector value) {
        if (i < rows && j < columns) store(y + (i * width + j) * filters, open ? value : relu(value));
      });
      continue;
    }
    Vector tile[kTile][kTile];
    Vector(*const kept)[kTile] = tile;
    both_ways<6, 4>(from_points, product, [=](int i, int j, Vector value) { kept[i][j] = value; });
    const Int to = ((image * (p.height / 2) + top / 2) * (p.width / 2) + left / 2) * filters + f;
#pragma GCC unroll 2
    for (int i = 0; i < kTile; i += 2)
#pragma GCC unroll 2
      for (int j = 0; j < kTile; j += 2) {
        if (i + 1 >= rows || j + 1 >= columns) continue;
        const Int at = to + (i / 2 * (p.width / 2) + j / 2) * filters;
        pool_window(tile[i][j], tile[i][j + 1], tile[i + 1][j], tile[i + 1][j + 1], p.y + at, p.index + at, kLanes);
      }
  }
}

void winograd_run(const Correlation& p, Int threads, const char* shared, char* scratch, Int item) {
  const WinogradLayout at(p, threads, const_cast<char*>(shared), scratch);
  const Groups::Part part = at.groups.part(item);
  const Int across = at.groups.across, tiles = part.images * part.rows * across, channels = p.x.channels;
  patches_to_points(at.inputs, at.input_distance, at.image, at.frame, p.x, across, part);
  for (int point = 0; point < kPoints; ++point) {
    // The point (1, 1) reaches all outputs with weight 1: that is where the bias comes in.
    const float* const start = point == kPatch + 1 ? at.start : nullptr;
    const float* const inputs = at.inputs + point * at.input_distance;
    const float* const panels = at.panels + point * channels * p.filters;
    float* const outputs = at.outputs + point * at.output_distance;
    if (is_square(channels, p.filters))
      multiply_by_square(inputs, tiles, panels, start, outputs);
    else
      multiply(inputs, at.tile_places, tiles, at.channel_places, channels, panels,
               {outputs, p.filters, p.filters, start, false, false});
  }
  const float* from = at.outputs;
  for (Int n = 0; n < part.images; ++n)
    for (Int r = part.row; r < part.row + part.rows; ++r)
      for (Int c = 0; c < across; ++c, from += p.filters)
        finish_tile(p, from, at.output_distance, part.image + n, r * kTile, c * kTile);
}

// Filters in each of some parts, whole panels.
inline Int filters_of_a_part(Int filters, Int parts) {
  return least(filters, divide_up(divide_up(filters / kLanes, kMostVectors), parts) * kMostVectors * kLanes);
}

// Where slices are few, because channels are many, the filters are cut into parts too: each transforms x for itself. The
// cut depends on the number of threads, and no sum depends on the cut.
struct WinogradGradientLayout {
  Int points, floats, slices;  // floats of a slice: 36 matrices, then the bias
  Int part, parts;             // filters of a part, and how many parts there are
  Groups groups;
  Frame frame, delta_frame;
  int *tile_places, *channel_places;
  float *sums, *image, *inputs, *deltas;
  Int input_distance, delta_distance, shared, scratch;

  WinogradGradientLayout(const KernelGradient& p, Int threads, char* shared_base, char* scratch_base)
      : points(p.x.channels * p.dy.channels),
        floats(round_up(kPoints * points + p.dy.channels, kLine / 4) + kLine / 4),
        slices(denpa::slices(p, floats)),
        part(filters_of_a_part(p.dy.channels, most(1, divide_up(2 * (threads - 1), slices)))),
        parts(divide_up(p.dy.channels, part)),
        groups(divide_up(p.x.batch, slices), p.dy.height, p.dy.width, 1),
        frame(p.top, p.left, groups.down * kTile + 2, groups.across * kTile + 2, p.x.channels),
        delta_frame(0, 0, groups.down * kTile, groups.across * kTile, p.dy.channels),
        input_distance(plane(groups.tiles, p.x.channels)),
        delta_distance(plane(groups.tiles, part)) {
    Carver from_shared{shared_base}, from_scratch{scratch_base};
    tile_places = from_shared.take<int>(groups.tiles);
    channel_places = from_shared.take<int>(p.x.channels);
    sums = from_shared.take<float>(slices * floats);
    image = from_scratch.take<float>((groups.rows * kTile + 2) * most(frame.stride, delta_frame.stride));
    inputs = from_scratch.take<float>(kPoints * input_distance);
    deltas = from_scratch.take<float>(kPoints * delta_distance);
    shared = from_shared.used;
    scratch = from_scratch.used;
  }
};

bool winograd_gradient_serves(const KernelGradient& p) {
  return p.kernel_height == 3 && p.kernel_width == 3 && fills_vectors(p.x.channels) && fills_vectors(p.dy.channels);
}

Needs winograd_gradient_needs(const KernelGradient& p, Int threads) {
  const WinogradGradientLayout at(p, threads, nullptr, nullptr);
  return {1, at.slices * at.parts, p.x.channels, at.shared, at.scratch};
}

void winograd_gradient_open(const KernelGradient& p, Int threads, char* shared, Int) {
  const WinogradGradientLayout at(p, threads, shared, nullptr);
  for (Int t = 0; t < at.groups.tiles; ++t) at.tile_places[t] = int(t * p.x.channels);
  for (Int c = 0; c < p.x.channels; ++c) at.channel_places[c] = int(c);
}

// A dY A' for all tiles of a part, as panels whose rows are tiles: to[point][panel][tile][filter], for `all` vectors of
// filters from `first` on.
void deltas_to_points(float* to, Int distance, float* image, const Frame& frame, const Images& dy, Int across,
                      Int tiles, Groups::Part part, Int first, Int all) {
  const Int filters = dy.channels, stride = frame.stride;
  for (Int n = 0, tile = 0; n < part.images; ++n) {
    fill(image, frame, dy, part.image + n, part.row * kTile, (part.row + part.rows) * kTile);
    for (Int r = 0; r < part.rows; ++r)
      for (Int c = 0; c < across; ++c, ++tile) {
        const float* corner = image + r * kTile * stride + c * kTile * filters;
        for (Int vector = 0, width; vector < all; vector += width) {
          width = panel_width(all - vector);
          for (Int v = 0; v < width; ++v) {
            const float* at = corner + (first + vector + v) * kLanes;
            float* panel = to + (vector * tiles + tile * width + v) * kLanes;
            both_ways<4, 6>(
                delta_to_points, [=](int i, int j) { return load(at + i * stride + j * filters); },
                [=](int i, int j, Vector value) { store(panel + (i * kPatch + j) * distance, value); });
          }
        }
      }
  }
}

void winograd_gradient_run(const KernelGradient& p, Int threads, const char* shared, char* scratch, Int item) {
  const WinogradGradientLayout at(p, threads, const_cast<char*>(shared), scratch);
  const Int channels = p.x.channels, filters = p.dy.channels, slice = item / at.parts;
  const Int first = first_image(p, at.slices, slice), last = first_image(p, at.slices, slice + 1);
  const Int filter = item % at.parts * at.part, own = least(at.part, filters - filter);
  float* const sums = at.sums + slice * at.floats + filter;
  clear(sums + kPoints * at.points, own);
  for (Int i = 0; i < at.groups.items; ++i) {
    Groups::Part part = at.groups.part(i);
    part.image += first;
    part.images = least(part.images, last - part.image);
    if (part.images <= 0) break;
    const Int across = at.groups.across, tiles = part.images * part.rows * across;
    patches_to_points(at.inputs, at.input_distance, at.image, at.frame, p.x, across, part);
    deltas_to_points(at.deltas, at.delta_distance, at.image, at.delta_frame, p.dy, across, tiles, part,
                     filter / kLanes, own / kLanes);
    for (int point = 0; point < kPoints; ++point) {
      const float* const inputs = at.inputs + point * at.input_distance;
      const float* const deltas = at.deltas + point * at.delta_distance;
      float* const sum = sums + point * at.points;
      if (is_square(channels, filters))
        multiply_to_square(inputs, deltas, tiles, sum, i > 0);
      else
        multiply(inputs, at.channel_places, channels, at.tile_places, tiles, deltas,
                 {sum, filters, own, nullptr, i > 0, false});
    }
    // At the point (1, 1) stands the plain sum of a tile's deltas.
    sum_panels(sums + kPoints * at.points, at.deltas + (kPatch + 1) * at.delta_distance, tiles, own);
  }
}

// Adds the slices up for one channel, and goes back from the 36 points to the 9 taps.
void winograd_gradient_close(const KernelGradient& p, Int threads, const char* shared, Int channel) {
  const WinogradGradientLayout at(p, threads, const_cast<char*>(shared), nullptr);
  const Int channels = p.x.channels, filters = p.dy.channels;
  const auto total = [&](Int place) {
    Vector sum = {};
    for (Int s = 0; s < at.slices; ++s) sum = sum + load(at.sums + s * at.floats + place);
    return sum;
  };
  for (Int f = 0; f < filters; f += kLanes) {
    both_ways<6, 3>(
        kernel_from_points,
        [&](int i, int j) { return total((i * kPatch + j) * at.points + channel * filters + f); },
        [&](int i, int j, Vector value) { store(p.dw + ((i * 3 + j) * channels + channel) * filters + f, value); });
    if (channel == 0) store(p.db + f, total(kPoints * at.points + f));
  }
}

}  // namespace
}  // namespace denpa
