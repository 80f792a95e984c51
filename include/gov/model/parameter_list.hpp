// A Params struct as a flat list of references, by the one traversal: what loading, saving and
// reporting work on, so that they are compiled once and not for each model.
#pragma once

#include <string>
#include <vector>

#include "gov/core/params.hpp"

namespace gov {

struct ParameterRef {
  std::string name;                      // model.language_model.layers.0.mlp.router.weight
  Storage* storage = nullptr;            // of the model
  std::vector<index_t> shape;            // in a dense checkpoint
  index_t experts = 1, out = 0, in = 0;  // matrices; a vector has out 1 and in = its size
  bool is_matrix = false, is_expert = false;
  bool is_offset = false;  // fresh: 0, whatever its name

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
    } else {
      ref.out = 1, ref.in = P::size;
      ref.is_offset = requires { P::is_offset; };
    }
    list.push_back(std::move(ref));
  };
  gov::visit(add, Name{}, params);
  return list;
}

}  // namespace gov
