// What XLA is to hand to a function, read off the function's own parameters.
#pragma once

#include <type_traits>
#include <utility>

#include "perform.h"

namespace denpa {
namespace {

// Of what a parameter is the result; void for an argument.
template <class Type>
struct Of {
  using Result = void;
};

template <class Type>
struct Of<ffi::Result<Type>> {
  using Result = Type;
};

// A binding cannot be kept, only handed on: every return below is of a new one.
template <class Type, class Binding>
auto add(Binding&& binding, const char* name) {
  if constexpr (std::is_same_v<Type, ffi::ThreadPool>) return std::move(binding).template Ctx<Type>();
  else if constexpr (std::is_same_v<Type, int32_t>) return std::move(binding).template Attr<Type>(name);
  else if constexpr (std::is_void_v<typename Of<Type>::Result>) return std::move(binding).template Arg<Type>();
  else return std::move(binding).template Ret<typename Of<Type>::Result>();
}

template <class Type, class... Rest, class Binding>
auto add_all(Binding&& binding, const char* const* names) {
  if constexpr (sizeof...(Rest) == 0) return add<Type>(std::move(binding), *names);
  else return add_all<Rest...>(add<Type>(std::move(binding), *names), names + std::is_same_v<Type, int32_t>);
}

// The binding of a function: its numbers are attributes of these names.
template <class... Types, class... Names>
auto binding(ffi::Error (*)(Types...), Names... names) {
  static_assert((std::is_same_v<Types, int32_t> + ...) == sizeof...(Names), "a name for each number");
  const char* const all[] = {names..., nullptr};
  return add_all<Types...>(ffi::Ffi::Bind(), all);
}

}  // namespace
}  // namespace denpa
