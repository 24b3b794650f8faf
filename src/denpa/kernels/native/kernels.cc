// All hot loops, compiled once for each instruction set. No standard header is included here: an inline function of
// one, compiled for AVX-512, could be the copy that the linker keeps for everybody.
#include "recurrent.h"
#include "winograd.h"

extern "C" {
extern const denpa::Kernels DENPA_KERNELS;
const denpa::Kernels DENPA_KERNELS = {
    DENPA_NAME,
    {denpa::direct_serves, denpa::direct_needs, denpa::direct_open, denpa::direct_run, nullptr},
    {denpa::winograd_serves, denpa::winograd_needs, denpa::winograd_open, denpa::winograd_run, nullptr},
    {denpa::direct_gradient_serves, denpa::direct_gradient_needs, denpa::direct_gradient_open,
     denpa::direct_gradient_run, denpa::direct_gradient_close},
    {denpa::winograd_gradient_serves, denpa::winograd_gradient_needs, denpa::winograd_gradient_open,
     denpa::winograd_gradient_run, denpa::winograd_gradient_close},
    {nullptr, denpa::forward_needs<denpa::Lstm>, denpa::forward_open<denpa::Lstm>, denpa::forward_run<denpa::Lstm>, nullptr},
    {nullptr, denpa::home_needs<denpa::Lstm>, denpa::home_open<denpa::Lstm>, denpa::home_run<denpa::Lstm>, nullptr},
    {nullptr, denpa::weights_needs, nullptr, denpa::weights_run, nullptr},
};
}
