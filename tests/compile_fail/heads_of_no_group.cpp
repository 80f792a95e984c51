// Query heads that the key heads do not divide.
// expect: gov: num_attention_heads must be a multiple of num_key_value_heads
#include <gov/model/gov_model.hpp>

struct Mine : gov::GptOss {
  static constexpr std::string_view name = "Mine";
#ifdef GOV_FAIL
  static constexpr gov::GptOssConfig config{.num_attention_heads = 6, .num_key_value_heads = 4};
#else
  static constexpr gov::GptOssConfig config{.num_attention_heads = 6, .num_key_value_heads = 3};
#endif
};

const auto size = sizeof(gov::GovModel<Mine>);
