// A vision tower in front of nothing.
// expect: gov: a Cfg with a Vision needs `using Language =
#include <gov/model/gov_model.hpp>
#include <gov/model/presets.hpp>

struct Mine : gov::InternVl {
  static constexpr std::string_view name = "Mine";
  using Vision = gov::TinyInternVit;
#ifndef GOV_FAIL
  using Language = gov::TinyGptOss;
#endif
  static constexpr gov::InternVlConfig config{};
};

const auto size = sizeof(gov::GovModel<Mine>);
