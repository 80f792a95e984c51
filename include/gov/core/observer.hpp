// Watching and steering a forward pass. An observer is any type with
//   void on(const std::string& name, gov::Rows<T> tensor);
// called as each named intermediate is ready; what it writes into the rows is what the model goes
// on with. With NoObserver the calls compile to nothing. For tensors of a layer an observer may
// have
//   void on(std::string_view base, gov::index_t layer, gov::Rows<T> tensor);
// as well, which spares the making of their names.
//
// Names: vision_hidden_states.<l>, image_features, inputs_embeds, modality (Rows<index_t>, read
// only; 1 where a row is an image's; only in calls that have such), hidden_states.<l> (input of
// layer l; the last one is after the final norm), router.<l> (logits [tokens, experts], before the
// choice), router_indices.<l> (Rows<index_t>, read only), router_weights.<l>, logits; latent.<k>
// (model/coconut.hpp). An observer with `static constexpr bool attention_maps = true` also gets
// attention.<l>, one call per sequence: [tokens * heads, keys seen], zero where a key is masked.
#pragma once

#include <string>
#include <string_view>

#include "gov/core/tensor.hpp"

namespace gov {

struct NoObserver {};

template <class O>
inline constexpr bool observes = !std::is_same_v<std::remove_cvref_t<O>, NoObserver>;

template <class O>
inline constexpr bool observes_attention =
    requires { requires std::remove_cvref_t<O>::attention_maps; };

template <class O, class T>
void observe(O& observer, std::string_view name, Rows<T> rows) {
  if constexpr (observes<O> && requires { observer.on(std::string(name), rows); })
    observer.on(std::string(name), rows);
  else
    (void)observer, (void)name, (void)rows;
}

template <class O, class T>
void observe(O& observer, std::string_view base, index_t layer, Rows<T> rows) {
  if constexpr (observes<O> && requires { observer.on(base, layer, rows); })
    observer.on(base, layer, rows);
  else if constexpr (observes<O>)
    observe(observer, std::string(base) + "." + std::to_string(layer), rows);
  else
    (void)observer, (void)base, (void)layer, (void)rows;
}

}  // namespace gov
