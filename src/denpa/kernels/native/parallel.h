// A parallel loop over XLA's own threads, and memory that each thread keeps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "problem.h"
#include "xla/ffi/api/ffi.h"

namespace denpa {

// Aligned memory that grows and is used again: fresh pages at every call would cost more than the work on them.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  ~Arena() { std::free(data_); }

  // Null when the system has no more.
  char* at_least(Int bytes) {
    if (bytes > size_) {
      std::free(data_);
      size_ = (bytes + 4095) / 4096 * 4096;
      data_ = static_cast<char*>(std::aligned_alloc(4096, size_));
      if (data_ == nullptr) size_ = 0;
    }
    return data_;
  }

 private:
  char* data_ = nullptr;
  Int size_ = 0;
};

// Calls work(i) for every i from 0 to count - 1. The calling thread takes items too; at the end it waits only for
// items that another thread has begun, never for a thread that has not come yet: that one will find nothing to do.
template <class Work>
void parallel(xla::ffi::ThreadPool& pool, Int threads, Int count, const Work& work) {
  struct Loop {
    const Work* work;
    Int count;
    std::atomic<Int> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;

    void take() {
      Int taken = 0;
      for (Int i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count; ++taken) (*work)(i);
      if (taken != 0 && done.fetch_add(taken, std::memory_order_acq_rel) + taken == count) {
        const std::lock_guard<std::mutex> lock(mutex);
        finished.notify_one();
      }
    }
  };
  const Int helpers = (threads < count ? threads : count) - 1;
  if (helpers <= 0) {
    for (Int i = 0; i < count; ++i) work(i);
    return;
  }
  const auto loop = std::make_shared<Loop>();
  loop->work = &work;
  loop->count = count;
  for (Int i = 0; i < helpers; ++i) pool.Schedule([loop] { loop->take(); });
  loop->take();
  const auto complete = [&] { return loop->done.load(std::memory_order_acquire) == count; };
  for (int spin = 0; spin < 4096 && !complete(); ++spin) __asm__ volatile("" ::: "memory");
  if (complete()) return;
  std::unique_lock<std::mutex> lock(loop->mutex);
  loop->finished.wait(lock, complete);
}

}  // namespace denpa
