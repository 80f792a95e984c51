// A hidden state that the tower does not have.
// expect: gov: vision_feature_layer must name one of the tower.s hidden states
#include <gov/model/gov_model.hpp>
#include <gov/model/presets.hpp>

struct Mine : gov::InternVl {
  static constexpr std::string_view name = "Mine";
  using Vision = gov::TinyInternVit;  // two layers
  using Language = gov::TinyGptOss;
#ifdef GOV_FAIL
  static constexpr gov::InternVlConfig config{.vision_feature_layer = -4};
#else
  static constexpr gov::InternVlConfig config{.vision_feature_layer = -3};
#endif
};

void run(const gov::GovModel<Mine>& model) { model.session().forward({}); }
