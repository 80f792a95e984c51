// Patches that do not fill the image.
// expect: gov: Vision::config does not hold together
#include <gov/model/gov_model.hpp>
#include <gov/model/presets.hpp>

struct Mine : gov::InternVl {
  static constexpr std::string_view name = "Mine";
  struct Vision : gov::InternVitModules {
#ifdef GOV_FAIL
    static constexpr gov::InternVitConfig config{.image_size = { 448, 450 }};
#else
    static constexpr gov::InternVitConfig config{.image_size = {448, 448}};
#endif
  };
  using Language = gov::TinyGptOss;
  static constexpr gov::InternVlConfig config{};
};

const auto size = sizeof(gov::GovModel<Mine>);
