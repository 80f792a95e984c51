// A Params struct as a flat list of references, by the one traversal: what loading, saving and
// reporting work on, so that they are compiled once and not for each model.
#pragma once

#include <string>
#include <vector>

#include "gov/core/params.hpp"

namespace gov {

// Whether a parameter is of the tower, the projector or what lies between them and the text.
inline bool belongs_to_images(std::string_view name) {
  for (const std::string_view part :
       {"vision_tower", "multi_modal_projector", "image_newline", "vision_resampler",
        "mm_projector", "temporal_input_embeddings", "temporal_output_embeddings",
        "spatial_height_", "spatial_width_"})
    if (name.find(part) != name.npos) return true;
  return false;
}

struct ParameterRef {
  std::string name;                      // model.language_model.layers.0.mlp.router.weight
  Storage* storage = nullptr;            // of the model
  std::vector<index_t> shape;            // in a dense checkpoint
  index_t experts = 1, out = 0, in = 0;  // matrices; a vector has out 1 and in = its size
  bool is_matrix = false, is_expert = false;
  bool is_turned = false;    // [in, out] in a checkpoint
  bool is_offset = false;    // fresh: 0, whatever its name
  bool is_optional = false;  // 0 where a checkpoint lacks it

  bool of_images() const { return belongs_to_images(name); }
  // Experts in one tensor, [experts, in, out] or [experts, out, in].
  bool is_stack() const { return is_expert && shape.size() == 3; }
  index_t size() const { return experts * out * in; }
  index_t data_bytes(Format format) const { return experts * out * row_bytes(format, in); }
  index_t scales_bytes(Format format) const { return experts * out * scale_bytes(format, in); }
};

template <class Params>
std::vector<ParameterRef> parameter_list(Params& params) {
  std::vector<ParameterRef> list;
  const auto add = [&list]<class P>(const Name& name, P& parameter) {
    ParameterRef ref{name.text, &parameter, {P::shape.begin(), P::shape.end()}};
    if constexpr (P::is_matrix) {
      ref.experts = P::experts, ref.out = P::out, ref.in = P::in;
      ref.is_matrix = true, ref.is_expert = P::is_expert;
      ref.is_turned = requires { P::is_turned; };
    } else {
      ref.out = 1, ref.in = P::size;
      ref.is_offset = requires { P::is_offset; };
      ref.is_optional = requires { P::is_optional; };
    }
    list.push_back(std::move(ref));
  };
  gov::visit(add, Name{}, params);
  return list;
}

}  // namespace gov
