// A language Config with numbers that chooses no modules.
// expect: gov: a language Config must choose Position, Norm, Attention and FeedForward; derive
#include <gov/model/gov_model.hpp>

struct Modules
#ifndef GOV_FAIL
    : gov::GptOss
#endif
{
};
struct Mine : Modules {
  static constexpr std::string_view name = "Mine";
  static constexpr gov::GptOssConfig config{.num_hidden_layers = 2};
};

const auto size = sizeof(gov::GovModel<Mine>);
