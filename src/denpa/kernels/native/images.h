// Images as the block kernel wants them: copied with a border of zeros, or cut into panels; masks are applied on the way.
#pragma once

#include "block.h"

namespace denpa {
namespace {

// The values of one pixel, vector by vector, with the mask applied.
class Pixel {
 public:
  Pixel(const Images& images, Int image, Int row, Int column) : kind_(images.kind), channels_(images.channels) {
    Int at;
    if (kind_ == Mask::pool) {
      const Int rows = images.height / 2, columns = images.width / 2;
      inside_ = row / 2 < rows && column / 2 < columns;
      place_ = int(row % 2 * 2 + column % 2);
      at = ((image * rows + row / 2) * columns + column / 2) * channels_;
    } else {
      at = ((image * images.height + row) * images.width + column) * channels_;
    }
    if (!inside_) return;  // the last row or column of an odd size belongs to no window
    data_ = images.data + at;
    if (kind_ == Mask::relu) mask_ = static_cast<const float*>(images.mask) + at;
    if (kind_ == Mask::pool) index_ = static_cast<const Byte*>(images.mask) + at;
  }

  Vector operator()(Int channel) const {
    if (!inside_) return Vector{};
    const Int lanes = channels_ - channel;
    const Vector value = load(data_ + channel, lanes);
    if (kind_ == Mask::relu) return keep(value, load(mask_ + channel, lanes) > 0.0f);
    if (kind_ == Mask::pool) return keep(value, __builtin_convertvector(load_bytes(index_ + channel, lanes), Mask32) == place_);
    return value;
  }

 private:
  Mask kind_;
  Int channels_;
  bool inside_ = true;
  int place_ = 0;
  const float *data_ = nullptr, *mask_ = nullptr;
  const Byte* index_ = nullptr;
};

inline void clear(float* to, Int count) {
  Int i = 0;
  for (; i + kLanes <= count; i += kLanes) store(to + i, Vector{});
  for (; i < count; ++i) to[i] = 0;
}

inline void copy(float* to, const float* from, Int count) {
  Int i = 0;
  for (; i + kLanes <= count; i += kLanes) store(to + i, load(from + i));
  for (; i < count; ++i) to[i] = from[i];
}

// Where an image with its border lies. A border may be negative: the image is then cut.
struct Frame {
  Int top, left, height, width, stride;

  Frame(Int top, Int left, Int height, Int width, Int channels)
      : top(top), left(left), height(height), width(width), stride(width * channels) {
    if (stride * 4 % 1024 == 0) stride += kLine / 4;  // rows must not all fall into the same sets of the cache
  }
};

// Rows `first` to `last` of the frame, from image `image`.
void fill(float* to, const Frame& frame, const Images& images, Int image, Int first, Int last) {
  const Int channels = images.channels;
  const Int begin = most(0, frame.left), end = most(begin, least(frame.width, frame.left + images.width));
  for (Int r = first; r < last; ++r, to += frame.stride) {
    const Int row = r - frame.top;
    if (row < 0 || row >= images.height) {
      clear(to, frame.width * channels);
      continue;
    }
    clear(to, begin * channels);
    clear(to + end * channels, (frame.width - end) * channels);
    float* inner = to + begin * channels;
    const Int column = begin - frame.left, count = (end - begin) * channels;
    if (images.kind == Mask::pool) {
      for (Int w = 0; w < end - begin; ++w, inner += channels) {
        const Pixel pixel(images, image, row, column + w);
        for (Int c = 0; c < channels; c += kLanes) store(inner + c, pixel(c), channels - c);
      }
      continue;
    }
    const Int at = ((image * images.height + row) * images.width + column) * channels;
    if (images.kind == Mask::none) {
      copy(inner, images.data + at, count);
    } else {
      const float* mask = static_cast<const float*>(images.mask) + at;
      for (Int i = 0; i < count; i += kLanes)
        store(inner + i, keep(load(images.data + at + i, count - i), load(mask + i, count - i) > 0.0f), count - i);
    }
  }
}

// The panels of a whole image: row j is pixel j.
void fill_panels(float* to, const Images& images, Int image) {
  const Int pixels = images.height * images.width, all = vectors(images.channels);
  for (Int vector = 0, width; vector < all; vector += width) {
    width = panel_width(all - vector);
    float* panel = to + vector * kLanes * pixels;
    for (Int h = 0; h < images.height; ++h)
      for (Int w = 0; w < images.width; ++w, panel += width * kLanes) {
        const Pixel pixel(images, image, h, w);
        for (Int v = 0; v < width; ++v) store(panel + v * kLanes, pixel((vector + v) * kLanes));
      }
  }
}

// Adds the sum over all rows of the panels to `sums`. Sums of sums of 32 lose less than one long sum.
void sum_panels(float* sums, const float* panels, Int rows, Int filters) {
  const Int all = vectors(filters);
  for (Int vector = 0, width; vector < all; vector += width) {
    width = panel_width(all - vector);
    const float* panel = panels + vector * kLanes * rows;
    for (Int v = 0; v < width; ++v) {
      Vector total = {};
      for (Int first = 0; first < rows; first += 32) {
        Vector sum = {};
        for (Int j = first; j < least(rows, first + 32); ++j) sum = sum + load(panel + (j * width + v) * kLanes);
        total = total + sum;
      }
      float* at = sums + (vector + v) * kLanes;
      store(at, load(at) + total);
    }
  }
}

// The places of the taps of a kernel in a frame, in the order of the kernel: row, column, channel.
void taps(int* to, const Frame& frame, Int height, Int width, Int channels) {
  for (Int i = 0; i < height; ++i)
    for (Int k = 0; k < width * channels; ++k) *to++ = int(i * frame.stride + k);
}

// The places of `rows` x `columns` pixels in a frame.
void pixels(int* to, const Frame& frame, Int rows, Int columns, Int channels) {
  for (Int h = 0; h < rows; ++h)
    for (Int w = 0; w < columns; ++w) *to++ = int(h * frame.stride + w * channels);
}

}  // namespace
}  // namespace denpa
