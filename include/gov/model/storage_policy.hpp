// StoragePolicy: the formats in which weights are held, apart from how the file stores them.
//   as-stored  what the checkpoint has           f32, bf16, f16   every matrix in that format
//   mxfp4      experts in MXFP4, the rest as stored
//   mxfp4-bf16 experts in MXFP4, every other matrix in bf16
//   mxfp4-q8   experts in MXFP4, the language model's other matrices in 8-bit blocks
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "gov/core/error.hpp"
#include "gov/core/tensor.hpp"
#include "gov/model/parameter_list.hpp"

namespace gov {

struct StoragePolicy {
  std::optional<Format> dense, experts;  // nullopt: as stored
  bool language_only = false;            // dense applies to the language model's matrices alone
};

// What parse_storage() takes, for messages and help.
inline constexpr std::string_view storage_names =
    "as-stored, f32, bf16, f16, mxfp4, mxfp4-bf16 or mxfp4-q8";

inline StoragePolicy parse_storage(std::string_view name) {
  if (name == "as-stored") return {};
  for (const Format format : {Format::f32, Format::bf16, Format::f16})
    if (name == to_string(format)) return {format, format, false};
  if (name == "mxfp4") return {std::nullopt, Format::mxfp4, true};
  if (name == "mxfp4-bf16") return {Format::bf16, Format::mxfp4, false};
  if (name == "mxfp4-q8") return {Format::q8, Format::mxfp4, true};
  throw Error({.code = Errc::bad_argument,
               .file = {},
               .field = "storage",
               .expected = std::string(storage_names),
               .found = std::string(name)});
}

// What a policy makes of one parameter that lies in the file as `stored`. Routers choose experts,
// so they are never put into blocks; nor is what 32 does not divide.
inline Format held_format(const StoragePolicy& policy, Format stored, std::string_view name,
                          bool experts, index_t in) {
  const bool vision = belongs_to_images(name);
  const bool router = name.find(".router.") != name.npos;
  const auto wanted = experts                          ? policy.experts
                      : policy.language_only && vision ? std::nullopt
                                                       : policy.dense;
  if (!wanted || (is_blocked(*wanted) && (in % block_size != 0 || router))) return stored;
  return *wanted;
}

// What random numbers are held in, which no file stores: f32 unless the policy says something, bf16
// where a policy leaves a matrix out.
inline Format fresh_format(const StoragePolicy& policy, std::string_view name, bool experts,
                           index_t in) {
  const bool free = !policy.dense && !policy.experts;
  return held_format(policy, free ? Format::f32 : Format::bf16, name, experts, in);
}

}  // namespace gov
