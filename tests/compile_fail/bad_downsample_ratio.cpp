// Pixels fold in whole squares only.
// expect: gov: downsample_ratio must be 1 over a whole number
#include <gov/model/gov_model.hpp>
#include <gov/model/presets.hpp>

struct Mine : gov::InternVl {
  static constexpr std::string_view name = "Mine";
  using Vision = gov::TinyInternVit;
  using Language = gov::TinyGptOss;
#ifdef GOV_FAIL
  static constexpr gov::InternVlConfig config{.downsample_ratio = 0.7};
#else
  static constexpr gov::InternVlConfig config{.downsample_ratio = 0.25};
#endif
};

const auto size = sizeof(gov::GovModel<Mine>);
