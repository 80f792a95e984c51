// MmProjectorType: what config.json's mm_projector_type says of LLaVA's projector (the original's
// and LLaVA-NeXT's multimodal_projector/builder.py): linear, mlpNx_gelu, mlpNx_resMx_gelu or
// identity. `pooler` is not here, and `tokenpacker` is a model of its own
// (model/llava_token_packer.hpp).
#pragma once

#include <string>
#include <string_view>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"

namespace gov {

struct MmProjectorType {
  index_t depth = 1, residuals = 0;  // layers, and residual blocks behind them; 0, 0: identity
  // The original numbers its layers, even a single one.
  bool sequential = depth > 1 || residuals > 0;

  friend constexpr bool operator==(const MmProjectorType&, const MmProjectorType&) = default;

  static constexpr index_t most = 9;  // layers or blocks: one digit is more than anyone has

  static MmProjectorType parse(std::string_view name) {
    if (name == "linear") return {};
    if (name == "identity") return {.depth = 0};
    std::string_view rest = name;
    const auto take = [&rest](std::string_view prefix) {
      const bool found = rest.starts_with(prefix);
      if (found) rest.remove_prefix(prefix.size());
      return found;
    };
    const auto number = [&rest] {
      const bool digit = !rest.empty() && '1' <= rest.front() && rest.front() <= '9';
      const index_t value = digit ? rest.front() - '0' : 0;
      if (digit) rest.remove_prefix(1);
      return value;
    };
    MmProjectorType type{.sequential = true};
    if (take("mlp") && (type.depth = number()) > 0 && take("x_")) {
      const bool residual = take("res");
      if ((!residual || ((type.residuals = number()) > 0 && take("x_"))) && rest == "gelu")
        return type;
    }
    throw Error(
        {.code = name == "pooler" ? Errc::unsupported : Errc::bad_config,
         .file = {},
         .field = "mm_projector_type",
         .expected = "linear, identity, mlpNx_gelu or mlpNx_resMx_gelu, N and M from 1 to 9",
         .found = std::string(name)});
  }

  constexpr std::string_view problem() const {
    return sequential ? depth > 0 ? "" : "mm_projector_type: mlp has at least one layer"
           : depth > 1 || residuals > 0
               ? "mm_projector_type: linear has one layer, identity none, neither has blocks"
               : "";
  }
  // As config.json has it.
  std::string spelling() const {
    if (!sequential) return depth == 0 ? "identity" : "linear";
    const std::string blocks = residuals > 0 ? "res" + std::to_string(residuals) + "x_" : "";
    return "mlp" + std::to_string(depth) + "x_" + blocks + "gelu";
  }
  // As C++.
  std::string code() const {
    return "gov::MmProjectorType{" + std::to_string(depth) + ", " + std::to_string(residuals) +
           (sequential ? ", true}" : ", false}");
  }
};

// LLaVA 1.5's, and the only one of transformers' classes.
inline constexpr MmProjectorType mlp2x_gelu{2, 0, true};

}  // namespace gov
