// Images as the block kernel wants them: copied with a border of zeros, or cut into panels; masks are applied on the way.
#pragma once

#include "block.h"

namespace denpa {
namespace {

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

// One row of an image as it is to be read: masks applied, pooled pixels spread. `kWhole`: its channels fill vectors.
template <Mask kKind, bool kWhole>
class ImageRow {
 public:
  ImageRow(const Images& images, Int image, Int row) : channels_(images.channels), columns_(images.width) {
    Int height = images.height;
    if (kKind == Mask::pool) {
      columns_ /= 2;
      height /= 2;
      place_ = int(row % 2) * 2;
      row /= 2;
    }
    const Int start = (image * height + row) * columns_ * channels_;
    left_ = images.batch * height * columns_ * channels_ - start;
    if (row >= height) columns_ = 0;  // the last row of an odd height belongs to no window
    data_ = images.data + start;
    if (kKind == Mask::relu) mask_ = static_cast<const float*>(images.mask) + start;
    if (kKind == Mask::pool) index_ = static_cast<const Byte*>(images.mask) + start;
  }

  // One vector of channels, from `channel` on.
  Vector operator()(Int column, Int channel) const {
    if (kKind != Mask::pool) return read(column * channels_ + channel, kWhole ? kLanes : channels_ - channel);
    if (column / 2 >= columns_) return Vector{};
    return Window(*this, column / 2, channel).at(place_ + int(column % 2));
  }

  // Columns `first` to `last` with all their channels.
  void copy_to(float* to, Int first, Int last) const {
    const Int begin = first * channels_, count = (last - first) * channels_;
    if (kKind == Mask::none) return copy(to, data_ + begin, count);
    if (kKind == Mask::relu) {
      Int i = 0;
      for (; i + kLanes <= count; i += kLanes) store(to + i, read(begin + i, kLanes));
      if (i < count) store(to + i, read(begin + i, count - i), count - i);
      return;
    }
    Int column = first;
    while (column < last) {
      const bool window = column % 2 == 0 && column + 1 < last && column / 2 < columns_;
      for (Int c = 0; c < channels_; c += kLanes) {
        const Int lanes = kWhole ? kLanes : channels_ - c;
        if (window) {
          const Window both(*this, column / 2, c);
          store(to + c, both.at(place_), lanes);
          store(to + channels_ + c, both.at(place_ + 1), lanes);
        } else {
          store(to + c, (*this)(column, c), lanes);
        }
      }
      column += 1 + window;
      to += (1 + window) * channels_;
    }
  }

 private:
  // One vector of a window of 2 x 2: a value, and the index of its place.
  struct Window {
    Vector value;
    Mask32 index;
    Window(const ImageRow& row, Int cell, Int channel) {
      const Int at = cell * row.channels_ + channel;
      value = row.cut(row.data_, at, kWhole ? kLanes : row.channels_ - channel);
      index = widen(load_bytes(row.index_ + at, kWhole ? kLanes : least(kLanes, row.left_ - at)));
    }
    Vector at(int place) const { return keep(value, index == place); }
  };

  Vector read(Int at, Int lanes) const {
    const Vector value = cut(data_, at, lanes);
    return kKind == Mask::relu ? keep(value, cut(mask_, at, lanes) > 0.0f) : value;
  }

  // Up to a whole vector; only at the end of the last image must it be read value by value.
  Vector cut(const float* from, Int at, Int lanes) const {
    if (lanes >= kLanes) return load(from + at);
    return at + kLanes <= left_ ? load_and_cut(from + at, lanes) : load(from + at, lanes);
  }

  Int channels_, columns_, left_;  // left_: values from the start of this row to the end of the batch
  int place_ = 0;
  const float *data_, *mask_ = nullptr;
  const Byte* index_ = nullptr;
};

// Rows `first` to `last` of the frame, from image `image`.
template <class Row>
void fill_from(float* to, const Frame& frame, const Images& images, Int image, Int first, Int last) {
  const Int channels = images.channels;
  const Int begin = most(0, frame.left), end = most(begin, least(frame.width, frame.left + images.width));
  for (Int r = first; r < last; ++r, to += frame.stride) {
    const Int row = r - frame.top;
    if (row < 0 || row >= images.height) {
      clear(to, frame.width * channels);
      continue;
    }
    clear(to, begin * channels);
    Row(images, image, row).copy_to(to + begin * channels, begin - frame.left, end - frame.left);
    clear(to + end * channels, (frame.width - end) * channels);
  }
}

// The panels of a whole image: row j is pixel j.
template <class Row>
void fill_panels_from(float* to, const Images& images, Int image) {
  const Int pixels = images.height * images.width, all = vectors(images.channels);
  for (Int h = 0; h < images.height; ++h) {
    const Row row(images, image, h);
    for (Int vector = 0, width; vector < all; vector += width) {
      width = panel_width(all - vector);
      float* panel = to + (vector * pixels + h * images.width * width) * kLanes;
      for (Int w = 0; w < images.width; ++w, panel += width * kLanes)
        for (Int v = 0; v < width; ++v) store(panel + v * kLanes, row(w, (vector + v) * kLanes));
    }
  }
}

// The questions about the image are asked once, not once for each vector.
template <bool kWhole>
void fill_kind(float* to, const Frame& frame, const Images& images, Int image, Int first, Int last) {
  switch (images.kind) {
    case Mask::none: return fill_from<ImageRow<Mask::none, kWhole>>(to, frame, images, image, first, last);
    case Mask::relu: return fill_from<ImageRow<Mask::relu, kWhole>>(to, frame, images, image, first, last);
    case Mask::pool: return fill_from<ImageRow<Mask::pool, kWhole>>(to, frame, images, image, first, last);
  }
}

template <bool kWhole>
void fill_panels_kind(float* to, const Images& images, Int image) {
  switch (images.kind) {
    case Mask::none: return fill_panels_from<ImageRow<Mask::none, kWhole>>(to, images, image);
    case Mask::relu: return fill_panels_from<ImageRow<Mask::relu, kWhole>>(to, images, image);
    case Mask::pool: return fill_panels_from<ImageRow<Mask::pool, kWhole>>(to, images, image);
  }
}

inline bool fills_vectors(Int channels) { return channels % kLanes == 0; }

void fill(float* to, const Frame& frame, const Images& images, Int image, Int first, Int last) {
  (fills_vectors(images.channels) ? fill_kind<true> : fill_kind<false>)(to, frame, images, image, first, last);
}

void fill_panels(float* to, const Images& images, Int image) {
  (fills_vectors(images.channels) ? fill_panels_kind<true> : fill_panels_kind<false>)(to, images, image);
}

// Adds the sum over all rows of the panels to `sums`. Four sums run side by side, and sums of sums of 32 rows lose
// less than one long sum.
void sum_panels(float* sums, const float* panels, Int rows, Int filters) {
  const Int all = vectors(filters);
  for (Int vector = 0, width; vector < all; vector += width) {
    width = panel_width(all - vector);
    for (Int v = 0; v < width; ++v) {
      const float* from = panels + (vector * rows + v) * kLanes;
      const Int step = width * kLanes;
      Vector total = {};
      for (Int row = 0; row < rows; row += 32) {
        Vector sum[4] = {};
        Int left = least(32, rows - row);
        for (; left >= 4; left -= 4, from += 4 * step)
          for (int i = 0; i < 4; ++i) sum[i] = sum[i] + load(from + i * step);
        for (; left > 0; --left, from += step) sum[0] = sum[0] + load(from);
        total = total + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
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
