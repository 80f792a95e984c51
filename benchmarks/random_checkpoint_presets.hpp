// The model types that random_checkpoint writes and load_bench loads.
#pragma once

#include <string>
#include <type_traits>

#include "gov/core/error.hpp"
#include "gov/model/presets.hpp"

namespace gov::bench {

// Two layers of InternVl35GptOss20b: 3.8 GB with MXFP4 experts, small enough to lie in memory
// twice.
struct InternVl35GptOssSlice : InternVl {
  static constexpr std::string_view name = "InternVl35GptOssSlice";
  using Vision = InternVit300m;
  struct Language : GptOss {
    static constexpr GptOssConfig config{
        .num_hidden_layers = 2, .num_local_experts = 32, .vocab_size = 200028};
  };
  static constexpr InternVlConfig config{};
};

template <class... Models>
struct PresetList {
  static std::string names() {
    std::string list;
    ((list += (list.empty() ? "" : ", ") + std::string(Models::name)), ...);
    return list;
  }
  // Calls call(std::type_identity<Cfg>{}) for the type of that name.
  template <class Call>
  static void visit(std::string_view name, Call&& call) {
    const bool known =
        ((Models::name == name && (call(std::type_identity<Models>{}), true)) || ...);
    if (!known)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "preset",
                   .expected = names(),
                   .found = std::string(name)});
  }
};

using Presets = PresetList<InternVl35GptOss20b, InternVl35GptOssSlice, GovGptOss20b, GptOss20b,
                           GptOss120b, TinyGov, TinyGptOss>;

}  // namespace gov::bench
