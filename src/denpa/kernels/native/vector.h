// Vectors of floats as the compiler's own extension gives them, and the sizes that follow from the instruction set.
#pragma once

#include "problem.h"

namespace denpa {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kRegisters = 32;
#elif defined(__AVX__)
constexpr int kLanes = 8, kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kRegisters = 32;
#else
constexpr int kLanes = 4, kRegisters = 16;
#endif

constexpr int kLine = 64;  // bytes of a cache line

typedef float Vector __attribute__((vector_size(kLanes * 4)));
typedef int Mask32 __attribute__((vector_size(kLanes * 4)));
typedef unsigned short Halves __attribute__((vector_size(kLanes * 2)));
typedef Byte Bytes __attribute__((vector_size(kLanes)));
typedef Vector LooseVector __attribute__((aligned(4), may_alias));
typedef Bytes LooseBytes __attribute__((aligned(1), may_alias));

inline Vector load(const float* from) { return *reinterpret_cast<const LooseVector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<LooseVector*>(to) = value; }
inline Vector broadcast(float value) { return value - Vector{}; }
inline Vector keep(Vector value, Mask32 where) { return (Vector)((Mask32)value & where); }

// The first `lanes` values, zeros behind them.
inline Vector load(const float* from, Int lanes) {
  if (lanes >= kLanes) return load(from);
  Vector value = {};
  for (Int lane = 0; lane < lanes; ++lane) value[lane] = from[lane];
  return value;
}

// The same where at least kLanes values may be read: zeros take the place of what belongs to somebody else.
inline Vector load_and_cut(const float* from, Int lanes) {
  Mask32 lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  return keep(load(from), lane < int(lanes));
}

// In pieces of a half, a quarter and so on: lane by lane it would take several times as long.
inline void store(float* to, Vector value, Int lanes) {
  if (lanes >= kLanes) return store(to, value);
  float whole[kLanes];
  store(whole, value);
  const float* from = whole;
  _Pragma("GCC unroll 4") for (int piece = kLanes / 2; piece > 0; piece /= 2) {
    if ((lanes & piece) == 0) continue;
    __builtin_memcpy(to, from, piece * sizeof(float));
    to += piece;
    from += piece;
  }
}

inline Bytes load_bytes(const Byte* from, Int lanes) {
  if (lanes >= kLanes) return *reinterpret_cast<const LooseBytes*>(from);
  Bytes value = {};
  for (Int lane = 0; lane < lanes; ++lane) value[lane] = from[lane];
  return value;
}

inline void store_bytes(Byte* to, Bytes value, Int lanes) {
  if (lanes >= kLanes) {
    *reinterpret_cast<LooseBytes*>(to) = value;
    return;
  }
  for (Int lane = 0; lane < lanes; ++lane) to[lane] = value[lane];
}

// By way of 16 bits, since GCC takes the direct way lane by lane.
inline Mask32 widen(Bytes value) { return __builtin_convertvector(__builtin_convertvector(value, Halves), Mask32); }
inline Bytes narrow(Mask32 value) { return __builtin_convertvector(__builtin_convertvector(value, Halves), Bytes); }

// max(0, value); not a number stays what it is, so that a run that diverges is seen to diverge
inline Vector relu(Vector value) { return value < 0.0f ? Vector{} : value; }

constexpr Int divide_up(Int a, Int b) { return (a + b - 1) / b; }
constexpr Int round_up(Int a, Int b) { return divide_up(a, b) * b; }
constexpr Int least(Int a, Int b) { return a < b ? a : b; }
constexpr Int most(Int a, Int b) { return a > b ? a : b; }
inline Int vectors(Int floats) { return divide_up(floats, kLanes); }

// Gives out pieces of a block of memory, each on a cache line of its own. From null it only counts.
struct Carver {
  char* base;
  Int used = 0;
  template <class T>
  T* take(Int count) {
    T* piece = reinterpret_cast<T*>(base + used);
    used += round_up(count * Int(sizeof(T)), kLine);
    return piece;
  }
};

}  // namespace
}  // namespace denpa
