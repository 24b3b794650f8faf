// An operation on XLA's threads.
#pragma once

#include "parallel.h"

namespace denpa {
namespace {

namespace ffi = xla::ffi;

// The three steps of an operation, each in parallel.
template <class Problem>
ffi::Error perform(ffi::ThreadPool& pool, const Operation<Problem>& operation, const Problem& problem) {
  thread_local Arena shared_arena;
  const Int threads = pool.num_threads() > 0 ? pool.num_threads() : 1;
  const Needs needs = operation.needs(problem, threads);
  char* const shared = shared_arena.at_least(needs.shared);
  std::atomic<bool> exhausted{shared == nullptr && needs.shared > 0};
  if (!exhausted) {
    parallel(pool, threads, needs.opening, [&](Int piece) { operation.open(problem, threads, shared, piece); });
    parallel(pool, threads, needs.items, [&](Int piece) {
      thread_local Arena scratch_arena;
      char* const scratch = scratch_arena.at_least(needs.scratch);
      if (scratch == nullptr) exhausted = true;
      else operation.run(problem, threads, shared, scratch, piece);
    });
  }
  if (exhausted) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "denpa: no memory for a kernel's scratch");
  parallel(pool, threads, needs.closing, [&](Int piece) { operation.close(problem, threads, shared, piece); });
  return ffi::Error::Success();
}

}  // namespace
}  // namespace denpa
