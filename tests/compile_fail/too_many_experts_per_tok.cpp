// More experts per token than there are.
// expect: gov: num_experts_per_tok must be at most num_local_experts
#include <gov/model/gov_model.hpp>

struct Mine : gov::GptOss {
  static constexpr std::string_view name = "Mine";
#ifdef GOV_FAIL
  static constexpr gov::GptOssConfig config{
      .num_hidden_layers = 2, .num_local_experts = 3, .num_experts_per_tok = 4};
#else
  static constexpr gov::GptOssConfig config{
      .num_hidden_layers = 2, .num_local_experts = 4, .num_experts_per_tok = 4};
#endif
};

const auto size = sizeof(gov::GovModel<Mine>);
