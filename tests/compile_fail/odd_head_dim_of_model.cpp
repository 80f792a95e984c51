// An odd head, told before any module is looked into.
// expect: gov: head_dim must be even
#include <gov/model/gov_model.hpp>

struct Mine : gov::GptOss {
  static constexpr std::string_view name = "Mine";
#ifdef GOV_FAIL
  static constexpr gov::GptOssConfig config{.num_hidden_layers = 2, .head_dim = 63};
#else
  static constexpr gov::GptOssConfig config{.num_hidden_layers = 2, .head_dim = 62};
#endif
};

const auto size = sizeof(gov::GovModel<Mine>);
