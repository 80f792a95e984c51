// A Vision that does not name its tower.
// expect: gov: Vision must name its tower: `template <class C> using Tower
#include <gov/model/gov_model.hpp>
#include <gov/model/presets.hpp>

struct Modules
#ifndef GOV_FAIL
    : gov::InternVitModules
#endif
{
};
struct Mine : gov::InternVl {
  static constexpr std::string_view name = "Mine";
  struct Vision : Modules {
    static constexpr gov::InternVitConfig config{};
  };
  using Language = gov::TinyGptOss;
  static constexpr gov::InternVlConfig config{};
};

const auto size = sizeof(gov::GovModel<Mine>);
