// The one decoder skeleton. A language model is a Config: its geometry (C::config, spelled as in
// config.json; nn/geometry.hpp reads it) and the modules it chooses:
//   C::Position<C>     where tokens stand: what is added to embeddings, what attention is told
//   C::Norm<C>         pre-norm before each part and at the end
//   C::Attention<C>    adds its output to the residual stream, reads and writes the caches
//   C::FeedForward<C>  adds its output to the residual stream
// C::scales_embeddings, where it is there, multiplies what ids look up, and nothing else.
// One Block type serves every layer; what differs by layer (the window) is a number.
#pragma once

#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "gov/nn/embedding.hpp"
#include "gov/nn/norm.hpp"
#include "gov/nn/rotary.hpp"
#include "gov/nn/self_attention.hpp"

namespace gov {

// The memory of one sequence: a cache per layer. Copy it with fork().
template <class T>
struct DecoderState {
  std::vector<KvCache<T>> layers;
  index_t length() const { return layers.empty() ? 0 : layers.front().length(); }
  index_t earliest() const {
    index_t position = 0;
    for (const auto& layer : layers) position = std::max(position, layer.earliest());
    return position;
  }
  Format format() const { return layers.empty() ? Format::f32 : layers.front().format(); }
  index_t bytes() const {
    index_t total = 0;
    for (const auto& layer : layers) total += layer.bytes();
    return total;
  }
};

// `rows` consecutive rows of a batch, the next tokens of one sequence.
template <class T>
struct DecoderStep {
  DecoderState<T>* state;
  index_t rows;
  index_t call_end = 0;  // length after the whole call, where these rows are but a part of it
  KvCache<T>& cache(index_t layer) const { return state->layers[static_cast<std::size_t>(layer)]; }
  index_t length_after() const { return std::max(call_end, state->length() + rows); }
};

template <class C>
struct Decoder {
  static constexpr auto& config = C::config;
  static constexpr LanguageGeometry geometry = geometry_of(C::config);
  static constexpr index_t hidden_size = geometry.hidden_size;
  using Tokens = Embedding<geometry.vocab_size, hidden_size>;
  using Position = typename C::template Position<C>;
  using Norm = typename C::template Norm<C>;
  using Attention = typename C::template Attention<C>;
  using FeedForward = typename C::template FeedForward<C>;

  struct Block {
    struct Params {
      typename Norm::Params input_layernorm;
      typename Attention::Params self_attn;
      typename Norm::Params post_attention_layernorm;
      typename FeedForward::Params mlp;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "input_layernorm", p.input_layernorm...);
        gov::visit(v, name / "self_attn", p.self_attn...);
        gov::visit(v, name / "post_attention_layernorm", p.post_attention_layernorm...);
        gov::visit(v, name / "mlp", p.mlp...);
      }
    };
  };

  struct Params {
    typename Tokens::Params embed_tokens;
    typename Position::Params embed_positions;
    std::array<typename Block::Params, static_cast<std::size_t>(geometry.num_hidden_layers)> layers;
    typename Norm::Params norm;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "embed_tokens", p.embed_tokens...);
      gov::visit(v, name / "embed_positions", p.embed_positions...);
      gov::visit(v, name / "layers", p.layers...);
      gov::visit(v, name / "norm", p.norm...);
    }
  };

  // x [ids, hidden] = what stands for these ids before the first layer.
  template <class T>
  static void embed(Context<T>& context, const Params& p, std::span<const int> ids, Rows<T> x) {
    Tokens::forward(context, p.embed_tokens, ids, x);
    if constexpr (requires { C::scales_embeddings; }) scale(p.embed_tokens.weight.format, x);
  }

  // Caches for `context` positions in f32 (which is T) or bf16. A ring of a sliding layer holds
  // window - 1 + chunk positions, or everything with full_history.
  template <class T>
  static DecoderState<T> make_state(index_t context, index_t chunk, bool full_history,
                                    Format format = Format::f32) {
    DecoderState<T> state;
    for (index_t layer = 0; layer < geometry.num_hidden_layers; ++layer) {
      const index_t window = config.window(layer);
      state.layers.emplace_back(Attention::shape.kv_heads, Attention::shape.head_dim, window,
                                context, window && !full_history ? window - 1 + chunk : 0, format);
    }
    return state;
  }

  // x [tokens, hidden]: embeddings of the steps' tokens, one step after the other; becomes the
  // hidden states after the final norm. Each step has at most `chunk` rows. Nothing is committed.
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p,
                      const typename Position::Table& positions,
                      std::span<const DecoderStep<T>> steps, Rows<T> x, O& observer) {
    const ArenaScope scope(context.arena);
    const auto place = Position::place(context, p.embed_positions, positions, steps, x);
    const auto normed = context.rows(x.rows, hidden_size);
    for (index_t layer = 0; layer < geometry.num_hidden_layers; ++layer) {
      context.throw_if_cancelled();
      const auto& block = p.layers[static_cast<std::size_t>(layer)];
      observe(observer, "hidden_states", layer, x);
      Norm::forward(context, block.input_layernorm, geometry.norm_eps, x, normed);
      Attention::forward(context, block.self_attn, steps, place, normed, x, observer, layer);
      Norm::forward(context, block.post_attention_layernorm, geometry.norm_eps, x, normed);
      FeedForward::forward(context, block.mlp, C::feed_forward(config), normed, x, observer, layer);
    }
    Norm::forward(context, p.norm, geometry.norm_eps, x, x);
    observe(observer, "hidden_states", geometry.num_hidden_layers, x);
  }

 private:
  // By sqrt(hidden_size), rounded to the dtype that the embeddings are held in (Gemma).
  template <class T>
  static void scale(Format held, Rows<T> x) {
    auto factor = static_cast<float>(std::sqrt(static_cast<double>(hidden_size)));
    if (held == Format::bf16) factor = to_float(to_bf16(factor));
    if (held == Format::f16) factor = to_float(to_f16(factor));
    for (index_t i = 0; i < x.rows; ++i)
      for (index_t c = 0; c < hidden_size; ++c) x(i, c) *= T(factor);
  }
};

}  // namespace gov
