// A model of one's own: a geometry that no checkpoint has, and a block that GPT-OSS does not have
// (a plain gated feed-forward in place of the experts). Nothing but this file is needed.
#include <iostream>

#include "gov/gov.hpp"

// y += down(silu(gate x) * up x), as in Llama.
template <gov::index_t Hidden, gov::index_t Intermediate>
struct GatedMlp {
  using Up = gov::Linear<Hidden, Intermediate, false>;
  using Down = gov::Linear<Intermediate, Hidden, false>;

  struct Params {
    typename Up::Params gate_proj, up_proj;
    typename Down::Params down_proj;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "gate_proj", p.gate_proj...);
      gov::visit(v, name / "up_proj", p.up_proj...);
      gov::visit(v, name / "down_proj", p.down_proj...);
    }
  };

  template <class T, class O>
  static void forward(gov::Context<T>& context, const Params& p, gov::Absent, gov::Input<T> x,
                      gov::Rows<T> y, O& observer, gov::index_t layer) {
    const gov::ArenaScope scope(context.arena);
    const auto gate = context.rows(x.rows, Intermediate), up = context.rows(x.rows, Intermediate);
    Up::forward(context, p.gate_proj, x, gate);
    Up::forward(context, p.up_proj, x, up);
    for (gov::index_t i = 0; i < x.rows; ++i) {
      context.kernels.activate(gov::kernel::Activation::silu, gate.row(i), Intermediate);
      for (gov::index_t j = 0; j < Intermediate; ++j) up(i, j) *= gate(i, j);
    }
    gov::observe(observer, "mlp", layer, up);
    Down::forward(context, p.down_proj, up, y, true);
  }
};

struct OwnModel : gov::GptOss {
  static constexpr std::string_view name = "OwnModel";
  static constexpr gov::GptOssConfig config{.hidden_size = 64,
                                            .intermediate_size = 96,
                                            .num_hidden_layers = 3,
                                            .num_attention_heads = 4,
                                            .num_key_value_heads = 2,
                                            .head_dim = 16,
                                            .vocab_size = 300,
                                            .sliding_window = 16,
                                            .max_position_embeddings = 512,
                                            .layer_types = gov::LayerTypes("ssf")};
  static constexpr gov::Absent feed_forward(const gov::GptOssConfig&) { return {}; }
  template <class C>
  using FeedForward = GatedMlp<C::config.hidden_size, C::config.intermediate_size>;
};

// test:
int main() {
  using Model = gov::GovModel<OwnModel>;
  std::cout << "parameters: " << gov::parameter_count<Model::A> << "\n";
  const auto model = Model::random(7);
  auto session = model.session();
  const std::vector<int> prompt{1, 2, 3};
  const auto answer = gov::generate(session, {.input_ids = prompt}, {.max_new_tokens = 8});
  for (const int token : answer.tokens) std::cout << token << " ";
  std::cout << "\n";
  return answer.tokens.size() == 8 ? 0 : 1;
}
