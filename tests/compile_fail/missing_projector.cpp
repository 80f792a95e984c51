// A multimodal Cfg that chooses no projector.
// expect: gov: a Cfg with a Vision must choose a Projector; derive from gov::InternVl
#include <gov/model/gov_model.hpp>
#include <gov/model/presets.hpp>

struct Modules
#ifndef GOV_FAIL
    : gov::InternVl
#endif
{
};
struct Mine : Modules {
  static constexpr std::string_view name = "Mine";
  using Vision = gov::TinyInternVit;
  using Language = gov::TinyGptOss;
  static constexpr gov::InternVlConfig config{};
};

const auto size = sizeof(gov::GovModel<Mine>);
