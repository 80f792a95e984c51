// A language Config without its numbers.
// expect: gov: a language Config needs `static constexpr GptOssConfig config
#include <gov/model/gov_model.hpp>

struct Mine : gov::GptOss {
  static constexpr std::string_view name = "Mine";
#ifndef GOV_FAIL
  static constexpr gov::GptOssConfig config{.num_hidden_layers = 2};
#endif
};

const auto size = sizeof(gov::GovModel<Mine>);
