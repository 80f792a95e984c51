// A projector that keeps the tower's width, before a language model of another.
// expect: gov: mm_projector_type identity keeps the tower.s features, whose width must be
#include <gov/model/gov_model.hpp>
#include <gov/model/llava.hpp>

struct Mine : gov::Llava {
  static constexpr std::string_view name = "Mine";
  using Vision = gov::TinyClipVit;  // 32 wide
  struct Language : gov::Llama {
#ifdef GOV_FAIL
    static constexpr gov::LlamaConfig config{.hidden_size = 64, .num_attention_heads = 2};
#else
    static constexpr gov::LlamaConfig config{.hidden_size = 32, .num_attention_heads = 2};
#endif
  };
  static constexpr gov::LlavaConfig config{.mm_projector_type = {.depth = 0}};
};

void run(const gov::GovModel<Mine>& model) { model.session().forward({}); }
