// A multimodal Cfg that does not say what lies between its parts.
// expect: gov: a Cfg with a Vision needs `static constexpr gov::InternVlConfig config
#include <gov/model/gov_model.hpp>
#include <gov/model/presets.hpp>

struct Mine : gov::InternVl {
  static constexpr std::string_view name = "Mine";
  using Vision = gov::TinyInternVit;
  using Language = gov::TinyGptOss;
#ifndef GOV_FAIL
  static constexpr gov::InternVlConfig config{};
#endif
};

const auto size = sizeof(gov::GovModel<Mine>);
