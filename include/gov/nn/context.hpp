// What a forward pass runs on: the kernel table of the chosen backend, the thread pool, scratch
// memory, the cancellation token and how far products may round. T is the scalar of the activations
// (float; double as truth).
#pragma once

#include <algorithm>
#include <stop_token>
#include <type_traits>

#include "gov/core/arena.hpp"
#include "gov/core/parallel.hpp"
#include "gov/kernel/kernels.hpp"

namespace gov {

// Rows that a function only reads; T comes from its other arguments.
template <class T>
using Input = std::type_identity_t<Rows<const T>>;

template <class T>
struct Context {
  const kernel::Kernels<T>& kernels;
  ThreadPool& pool;
  Arena& arena;
  std::stop_token stop{};
  Arithmetic arithmetic = Arithmetic::invariant;
  const index_t* modality = nullptr;  // of the decoder's rows: 1 an image's, 0 text; null: all text

  // Scratch rows; give them back with an ArenaScope.
  Rows<T> rows(index_t count, index_t width) {
    return {arena.allocate<T>(count * width), count, width};
  }

  // How a product of `rows` rows against weights of this format reads them; none: as they are.
  kernel::Packing packing(Format format, index_t count) const {
    if constexpr (std::is_same_v<T, float>)
      if (const kernel::RoundedProducts* const rounded = kernels.rounded();
          rounded && arithmetic != Arithmetic::invariant)
        return rounded->packing(arithmetic, format, count);
    (void)format, (void)count;
    return kernel::Packing::none;
  }

  // Between layers and tiles, never inside one.
  void throw_if_cancelled() const {
    if (stop.stop_requested())
      throw Error({.code = Errc::cancelled,
                   .file = {},
                   .field = "call",
                   .expected = "to run to its end",
                   .found = "a request to stop"});
  }
};

// Calls row(i) for each row, shared out in chunks of fixed size.
template <class T, class F>
void for_each_row(Context<T>& context, index_t rows, index_t width, F&& row) {
  const index_t chunk = std::max<index_t>(1, 8192 / std::max<index_t>(1, width));
  context.pool.parallel_for((rows + chunk - 1) / chunk, [&](index_t c) {
    for (index_t i = c * chunk; i < std::min(rows, (c + 1) * chunk); ++i) row(i);
  });
}

}  // namespace gov
