#include "instruction_set.h"

#include <atomic>
#include <cstring>

extern "C" {
#if defined(__x86_64__)
extern const denpa::Kernels denpa_kernels_sse4, denpa_kernels_avx2, denpa_kernels_avx512;
#elif defined(__aarch64__)
extern const denpa::Kernels denpa_kernels_neon;
#endif
}

namespace denpa {
namespace {

// The best comes first.
#if defined(__x86_64__)
const Kernels* const kAll[] = {&denpa_kernels_avx512, &denpa_kernels_avx2, &denpa_kernels_sse4};

bool runs(const Kernels* set) {
  if (set == &denpa_kernels_avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (set == &denpa_kernels_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__)
const Kernels* const kAll[] = {&denpa_kernels_neon};

bool runs(const Kernels*) { return true; }
#endif

constexpr int kCount = sizeof kAll / sizeof kAll[0];

const Kernels* best() {
  for (const Kernels* set : kAll)
    if (runs(set)) return set;
  return nullptr;
}

std::atomic<const Kernels*> chosen{best()};

}  // namespace

const Kernels* kernels() { return chosen.load(std::memory_order_relaxed); }

}  // namespace denpa

// What Python asks, besides the FFI targets.
extern "C" {

#define DENPA_EXPORT __attribute__((visibility("default")))

// Counts the changes of what Python and the library expect of each other.
DENPA_EXPORT int denpa_interface() { return DENPA_INTERFACE; }

// The name of set `i`, the best first, among those that this processor runs; null behind the last.
DENPA_EXPORT const char* denpa_instruction_set(int i) {
  for (int at = 0; at < denpa::kCount; ++at)
    if (denpa::runs(denpa::kAll[at]) && i-- == 0) return denpa::kAll[at]->name;
  return nullptr;
}

// Serve with this set from now on; 0 when this processor does not run it.
DENPA_EXPORT int denpa_choose(const char* name) {
  for (const denpa::Kernels* set : denpa::kAll)
    if (denpa::runs(set) && std::strcmp(set->name, name) == 0) {
      denpa::chosen.store(set);
      return 1;
    }
  return 0;
}

}
