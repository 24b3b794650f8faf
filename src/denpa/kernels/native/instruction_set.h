// Which object file's kernels serve.
#pragma once

#include "problem.h"

namespace denpa {

// The best that this processor can run, or the one that was chosen; null: there is none.
const Kernels* kernels();

}  // namespace denpa
