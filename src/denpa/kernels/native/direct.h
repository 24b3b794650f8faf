// Convolution and its kernel's gradient as products over the taps of the kernel, without a detour.
#pragma once

#include "images.h"

namespace denpa {
namespace {

// Pieces of an image, such that even one image keeps the threads busy.
inline Int bands(const Correlation& p, Int rows, Int threads) {
  return p.x.batch >= 4 * threads ? 1 : least(rows, divide_up(4 * threads, p.x.batch));
}

struct DirectLayout {
  Frame frame;
  Int taps, rows, columns, step, bands, band;  // rows and columns of pixels; a step is one row, or two to be pooled
  int *pixel_places, *tap_places;
  float *panels, *start, *image, *before_pool;
  Int shared, scratch;

  DirectLayout(const Correlation& p, Int threads, char* shared_base, char* scratch_base)
      : frame(p.top, p.left, p.height + p.kernel_height - 1, p.width + p.kernel_width - 1, p.x.channels),
        taps(p.kernel_height * p.kernel_width * p.x.channels) {
    step = p.index ? 2 : 1;
    rows = p.height / step;
    columns = p.width / step * step;
    bands = denpa::bands(p, rows, threads);
    band = divide_up(rows, bands);
    bands = divide_up(rows, band);
    const Int padded = vectors(p.filters) * kLanes;
    Carver from_shared{shared_base}, from_scratch{scratch_base};
    pixel_places = from_shared.take<int>(most(1, band * step * columns));
    tap_places = from_shared.take<int>(taps);
    panels = from_shared.take<float>(taps * padded);
    start = from_shared.take<float>(padded);
    image = from_scratch.take<float>((band * step + p.kernel_height - 1) * frame.stride);
    before_pool = from_scratch.take<float>(p.index ? step * columns * padded : 0);
    shared = from_shared.used;
    scratch = from_scratch.used;
  }
};

// The kernel in panels: row j is a tap. Flipped: the kernel turned by half a turn, with the channels exchanged.
void pack_kernel(float* to, const Correlation& p) {
  const Int all = vectors(p.filters), places = p.kernel_height * p.kernel_width, channels = p.x.channels;
  for (Int vector = 0, width; vector < all; vector += width) {
    width = panel_width(all - vector);
    for (Int place = 0; place < places; ++place)
      for (Int c = 0; c < channels; ++c, to += width * kLanes)
        for (Int f = 0; f < width * kLanes; ++f) {
          const Int filter = vector * kLanes + f;
          to[f] = filter >= p.filters ? 0
                  : p.flipped         ? p.kernel[((places - 1 - place) * p.filters + filter) * channels + c]
                                      : p.kernel[(place * channels + c) * p.filters + filter];
        }
  }
}

Needs direct_needs(const Correlation& p, Int threads) {
  const DirectLayout at(p, threads, nullptr, nullptr);
  return {1, p.x.batch * at.bands, 0, at.shared, at.scratch};
}

void direct_open(const Correlation& p, Int threads, char* shared, Int) {
  const DirectLayout at(p, threads, shared, nullptr);
  pixels(at.pixel_places, at.frame, at.band * at.step, at.columns, p.x.channels);
  taps(at.tap_places, at.frame, p.kernel_height, p.kernel_width, p.x.channels);
  pack_kernel(at.panels, p);
  clear(at.start, vectors(p.filters) * kLanes);
  if (p.bias) copy(at.start, p.bias, p.filters);
}

// The greatest of a window of 2 x 2, at least 0, and its place, the first of equals. What is not a number wins.
inline void pool_window(Vector a, Vector b, Vector c, Vector d, float* y, Byte* index, Int lanes) {
  Vector greatest = a;
  Mask32 place = {};
  const auto challenge = [&](Vector value, int i) {
    const Mask32 wins = (value > greatest) | (value != value);
    greatest = wins ? value : greatest;
    place = wins ? Mask32{} + i : place;
  };
  challenge(b, 1);
  challenge(c, 2);
  challenge(d, 3);
  place = greatest > 0.0f ? place : Mask32{} + kBlocked;
  store(y, relu(greatest), lanes);
  store_bytes(index, narrow(place), lanes);
}

// One row of windows, from two rows of pixels that are padded to whole vectors. The last vector of a window is moved back
// to where it is whole: what it then finds once more it finds the same, and one by one its lanes would take longer.
void pool_rows(const float* from, Int columns, Int filters, float* y, Byte* index) {
  const Int next = vectors(filters) * kLanes, below = 2 * columns * next, last = most(0, filters - kLanes);
  for (Int w = 0; w < columns; ++w, from += 2 * next, y += filters, index += filters)
    for (Int begin = 0; begin < filters; begin += kLanes) {
      const Int f = least(begin, last);
      pool_window(load(from + f), load(from + f + next), load(from + f + below), load(from + f + below + next), y + f,
                  index + f, filters - f);
    }
}

void direct_run(const Correlation& p, Int threads, const char* shared, char* scratch, Int item) {
  const DirectLayout at(p, threads, const_cast<char*>(shared), scratch);
  const Int image = item / at.bands, first = item % at.bands * at.band, last = least(at.rows, first + at.band);
  const Int padded = vectors(p.filters) * kLanes;
  fill(at.image, at.frame, p.x, image, first * at.step, last * at.step + p.kernel_height - 1);
  if (!p.index) {
    float* y = p.y + (image * p.height + first) * p.width * p.filters;
    multiply(at.image, at.pixel_places, (last - first) * at.columns, at.tap_places, at.taps, at.panels,
             {y, p.filters, p.filters, at.start, false, p.relu});
    return;
  }
  for (Int row = first; row < last; ++row) {
    const Int pooled = (image * at.rows + row) * (at.columns / 2) * p.filters;
    multiply(at.image + (row - first) * 2 * at.frame.stride, at.pixel_places, 2 * at.columns, at.tap_places, at.taps,
             at.panels, {at.before_pool, padded, padded, at.start, false, false});
    pool_rows(at.before_pool, at.columns / 2, p.filters, p.y + pooled, p.index + pooled);
  }
}

// The batch is cut into slices in a way that does not depend on the number of threads. Each slice sums for itself,
// and the sums of the slices are added in their order, so that every run gives the same bits. A power of two, for as
// many threads to share; few where the sums of a slice are many, for each is written and read again.
inline Int slices(const KernelGradient& p, Int floats) {
  const Int pixels = p.x.batch * p.dy.height * p.dy.width;
  constexpr Int kMebibyte = (1 << 20) / sizeof(float);  // in floats
  const Int by_work = least(pixels / 256, most(16, least(64, pixels / 8192)));
  const Int by_memory = most(4 * kMebibyte / floats, least(8, 32 * kMebibyte / floats));
  Int count = 1;
  while (2 * count <= least(p.x.batch, least(by_work, by_memory))) count *= 2;
  return count;
}

// The first image of a slice.
inline Int first_image(const KernelGradient& p, Int slices, Int slice) { return slice * p.x.batch / slices; }

struct DirectGradientLayout {
  Frame frame;
  Int taps, padded, floats, slices, strip;  // rows in a strip
  int *pixel_places, *tap_places;
  float *sums, *image, *panels;
  Int shared, scratch;

  DirectGradientLayout(const KernelGradient& p, char* shared_base, char* scratch_base)
      : frame(p.top, p.left, p.dy.height + p.kernel_height - 1, p.dy.width + p.kernel_width - 1, p.x.channels),
        taps(p.kernel_height * p.kernel_width * p.x.channels),
        padded(vectors(p.dy.channels) * kLanes),
        floats(round_up((taps + 1) * padded, kLine / 4)) {
    slices = denpa::slices(p, floats);
    // A strip's pixels, of x and of one panel of dy, stay in the first-level cache while all taps go over them.
    const Int strips = divide_up(p.dy.height, most(1, 128 / p.dy.width));
    strip = divide_up(p.dy.height, strips);
    Carver from_shared{shared_base}, from_scratch{scratch_base};
    pixel_places = from_shared.take<int>(strip * p.dy.width);
    tap_places = from_shared.take<int>(taps);
    sums = from_shared.take<float>(slices * floats);
    image = from_scratch.take<float>(frame.height * frame.stride);
    panels = from_scratch.take<float>(p.dy.height * p.dy.width * padded);
    shared = from_shared.used;
    scratch = from_scratch.used;
  }
};

Needs direct_gradient_needs(const KernelGradient& p, Int) {
  const DirectGradientLayout at(p, nullptr, nullptr);
  return {1, at.slices, least(16, at.taps + 1), at.shared, at.scratch};
}

void direct_gradient_open(const KernelGradient& p, Int, char* shared, Int) {
  const DirectGradientLayout at(p, shared, nullptr);
  pixels(at.pixel_places, at.frame, at.strip, p.dy.width, p.x.channels);
  taps(at.tap_places, at.frame, p.kernel_height, p.kernel_width, p.x.channels);
}

void direct_gradient_run(const KernelGradient& p, Int, const char* shared, char* scratch, Int item) {
  const DirectGradientLayout at(p, const_cast<char*>(shared), scratch);
  float* sums = at.sums + item * at.floats;
  clear(sums, at.floats);
  const Int end = first_image(p, at.slices, item + 1), all = at.padded / kLanes, pixels = p.dy.height * p.dy.width;
  for (Int image = first_image(p, at.slices, item); image < end; ++image) {
    fill(at.image, at.frame, p.x, image, 0, at.frame.height);
    fill_panels(at.panels, p.dy, image);
    sum_panels(sums + at.taps * at.padded, at.panels, pixels, p.dy.channels);
    for (Int row = 0; row < p.dy.height; row += at.strip) {
      const Int count = least(at.strip, p.dy.height - row) * p.dy.width;
      for (Int vector = 0, width; vector < all; vector += width) {
        width = panel_width(all - vector);
        // One panel at a time: it starts at this strip's first pixel, not at the image's.
        const float* panel = at.panels + (vector * pixels + row * p.dy.width * width) * kLanes;
        multiply_panel(at.image + row * at.frame.stride, at.tap_places, at.taps, at.pixel_places, count, panel, width,
                       vector, {sums, at.padded, at.padded, nullptr, true, false});
      }
    }
  }
}

// Adds the slices up for a part of the taps; behind the last tap lies the bias.
void direct_gradient_close(const KernelGradient& p, Int threads, const char* shared, Int item) {
  const DirectGradientLayout at(p, const_cast<char*>(shared), nullptr);
  const Int items = direct_gradient_needs(p, threads).closing, filters = p.dy.channels;
  for (Int tap = item * (at.taps + 1) / items; tap < (item + 1) * (at.taps + 1) / items; ++tap) {
    float* to = tap < at.taps ? p.dw + tap * filters : p.db;
    for (Int f = 0; f < filters; f += kLanes) {
      Vector sum = {};
      for (Int s = 0; s < at.slices; ++s) sum = sum + load(at.sums + s * at.floats + tap * at.padded + f);
      store(to + f, sum, filters - f);
    }
  }
}

}  // namespace
}  // namespace denpa
