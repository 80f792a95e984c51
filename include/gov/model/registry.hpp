// auto_model<Models...>: among the model types compiled into a program, the one that a checkpoint's
// config.json asks for. When none fits, the error names the nearest, what differs, and the line of
// CMake that makes the missing type.
#pragma once

#include <type_traits>
#include <utility>

#include "gov/model/description.hpp"

namespace gov {

template <class... Models>
struct auto_model {
  static_assert(sizeof...(Models) > 0, "gov: auto_model needs at least one model type");

  // Calls call(std::type_identity<Cfg>{}) for the Cfg that fits the folder; returns what it
  // returns.
  template <class Call>
  static auto visit(const std::filesystem::path& folder, Call&& call) {
    using Result = std::common_type_t<decltype(call(std::type_identity<Models>{}))...>;
    const ModelDescription wanted = describe(folder);
    const std::size_t index = select(wanted, folder);
    std::size_t at = 0;
    if constexpr (std::is_void_v<Result>) {
      (void)((at++ == index ? (call(std::type_identity<Models>{}), true) : false) || ...);
    } else {
      Result result{};
      (void)((at++ == index ? (result = call(std::type_identity<Models>{}), true) : false) || ...);
      return result;
    }
  }

  // Which of Models fits; throws no_matching_model when none does.
  static std::size_t select(const ModelDescription& wanted, const std::filesystem::path& folder) {
    const std::vector<std::vector<std::string>> gaps{
        differences(wanted, ModelDescription::of<Models>())...};
    const std::vector<std::string> names{std::string(Models::name)...};
    const std::vector<bool> has_tower{Multimodal<Models>...};
    // A tower more or less counts above all, then another family of language models.
    const auto distance = [&](std::size_t i) {
      std::size_t points = gaps[i].size();
      if (has_tower[i] != wanted.composition.has_value()) points += 2000;
      for (const auto& line : gaps[i])
        if (line.find("model_type=") != line.npos) points += 1000;
      return points;
    };
    std::size_t nearest = 0;
    for (std::size_t i = 0; i < gaps.size(); ++i) {
      if (gaps[i].empty()) return i;
      if (distance(i) < distance(nearest)) nearest = i;
    }
    std::string list;
    constexpr std::size_t most = 6;
    for (std::size_t i = 0; i < gaps[nearest].size() && i < most; ++i)
      list += (i ? ", " : "") + gaps[nearest][i];
    if (gaps[nearest].size() > most)
      list += " and " + std::to_string(gaps[nearest].size() - most) + " more";
    throw Error({.code = Errc::no_matching_model,
                 .file = folder.string(),
                 .field = "config.json",
                 .expected = "a model type compiled into this program",
                 .found = "another geometry; the nearest, " + names[nearest] + ", differs in " +
                          list + ". To compile this one: gov_add_model(MyModel CONFIG " +
                          folder.string() + ") and gov_add_tool(mytool MODELS MyModel)"});
  }
};

}  // namespace gov
