// The classes that config.json's `architectures` may name, each with its model_type: those that
// this library writes (config_output.hpp) and LLaVA's own. check_architectures refuses a file whose
// class is another family's, as when weights of Mistral, whose tensors are called as Llama's are,
// lie under a config.json of Llama. A class that is not here (a Model without its head, a
// classifier, somebody's own) tells nothing and is accepted.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "gov/io/json.hpp"
#include "gov/io/sharded.hpp"
#include "gov/language/any_language.hpp"
#include "gov/model/any_composition.hpp"
#include "gov/model/llava_registry.hpp"

namespace gov {

// Calls f(class, model_type) for each; a class may have several model_types.
template <class F>
void for_each_architecture(F&& f) {
  const auto own = [&f]<class C>(const C&) { f(C::architecture, C::model_type); };
  AnyLanguage::for_each(own);
  AnyComposition::for_each(own);
  f(InternVlConfig::chat_architecture, InternVlConfig::chat_model_type);
  for (const LlavaWrapper& wrapper : available_models) {
    f(wrapper.architecture, wrapper.model_type);
    f(wrapper.architecture, LlavaConfig::model_type);  // as llava_wrapper_of has it
  }
}

// The wrapper of a config.json in LLaVA's own spelling; nullptr for another. Where its model_type
// is "llava", which some published files call every wrapper, or is missing, the class that it names
// tells which, and without that the folder's name.
inline const LlavaWrapper* llava_wrapper_of(const Json& json, std::string_view model_type) {
  const auto names = json.find("architectures");
  const bool tells = model_type.empty() || model_type == LlavaConfig::model_type;
  if (tells && names && names->is_array() && !names->empty())
    for (const LlavaWrapper& wrapper : available_models)
      if (names->at(0).is_string() && names->at(0).as_string() == wrapper.architecture)
        return &wrapper;
  if (model_type.empty() && json.contains("mm_vision_tower")) {
    const auto file = std::filesystem::absolute(json.file()).lexically_normal();
    return &detect_llava_wrapper(file.parent_path().string());
  }
  return find_llava_wrapper(model_type);
}

namespace architecture_detail {

// A list without repetitions, "a or b or c".
struct Names {
  std::vector<std::string_view> list{};
  void add(std::string_view name) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  }
  std::string joined() const {
    std::string text;
    for (const std::string_view name : list)
      text += (text.empty() ? "" : " or ") + std::string(name);
    return text;
  }
};

// usual: where the file names no model_type
inline void check(const Json& json, std::string_view usual, Problems& problems) {
  if (!json.is_object() || !json.has_value("architectures")) return;
  const std::string model_type = json.get_or("model_type", std::string(usual));
  const Json names = json.at("architectures");
  if (!names.is_array()) names.fail(Errc::bad_type, "an array of names");
  for (std::size_t i = 0; i < names.size(); ++i)
    problems.attempt([&] {
      const Json name = names.at(i);
      Names classes, types;  // of this model_type, and of this class
      for_each_architecture([&](std::string_view known, std::string_view type) {
        if (type == model_type) classes.add(known);
        if (known == name.as_string()) types.add(type);
      });
      const auto& fitting = classes.list;
      if (fitting.empty() || types.list.empty() ||
          std::find(fitting.begin(), fitting.end(), name.as_string()) != fitting.end())
        return;
      name.fail(Errc::bad_config, classes.joined() + ", as model_type is \"" + model_type + "\"",
                std::string(name.as_string()) + ", of model_type " + types.joined());
    });
}

}  // namespace architecture_detail

// Of a whole config.json and of the language model in it; `language` is the model_type that this
// was read as.
inline void check_architectures(const Json& json, std::string_view language, Problems& problems) {
  problems.attempt([&] { architecture_detail::check(json, {}, problems); });
  for (const char* key : {"text_config", "llm_config"})
    if (const auto text = json.find(key))
      problems.attempt([&] { architecture_detail::check(*text, language, problems); });
}

}  // namespace gov
