// Costs against figures worked out by hand for the published models.
#include "gov/model/costs.hpp"

#include <doctest/doctest.h>

#include "gov/model/presets.hpp"
#include "gov/model/storage_policy.hpp"

namespace {

using namespace gov;

// Parameters in the formats of a policy, without memory.
template <class Cfg>
struct Shapes {
  typename Architecture<Cfg>::Params params;
  std::vector<ParameterRef> list = parameter_list(params);
  explicit Shapes(const char* storage) {
    for (const auto& p : list)
      p.storage->format = p.is_matrix
                              ? fresh_format(parse_storage(storage), p.name, p.is_expert, p.in)
                              : Format::f32;
  }
};

TEST_CASE("gpt-oss-20b: bytes of a decoded token") {
  // Attention 637 M and head 579 M at 8.5 or 16 bits, four experts of 24.9 M in 24 layers at 4.25.
  CHECK(decode_bytes<GptOss20b>(Shapes<GptOss20b>("mxfp4-q8").list, 0).weights ==
        doctest::Approx(2.573e9).epsilon(0.003));
  CHECK(decode_bytes<GptOss20b>(Shapes<GptOss20b>("mxfp4-bf16").list, 0).weights ==
        doctest::Approx(3.713e9).epsilon(0.003));
  const Shapes<GptOss20b> shapes("mxfp4-q8");
  // 12 full layers and 12 of 128 keys; 8 heads of 64, keys and values, f32.
  CHECK(decode_bytes<GptOss20b>(shapes.list, 4095).caches == 12.0 * (4096 + 128) * 2 * 512 * 4);
  CHECK(decode_bytes<GptOss20b>(shapes.list, 9, 3, 2).caches == 3 * 24.0 * 10 * 2 * 512 * 2);
  // Eight tokens meet 32 (1 - (7/8)^8) = 21.0 of 32 experts, and each its embedding.
  const double one = decode_bytes<GptOss20b>(shapes.list, 0).weights,
               eight = decode_bytes<GptOss20b>(shapes.list, 0, 8).weights;
  const double expert = 24 * (3 * 2880 * 2880 * 17.0 / 32 + (5760 + 2880) * 4);
  CHECK(eight - one ==
        doctest::Approx(expert * (32 * (1 - std::pow(0.875, 8)) - 4) + 7 * 2880 * 1.0625));
}

TEST_CASE("gpt-oss-20b: flops of a prefill") {
  const Shapes<GptOss20b> shapes("mxfp4-q8");
  const double flops = prefill_flops<GptOss20b>(shapes.list, 0, 512);
  CHECK(flops / 512 == doctest::Approx(6.13e9).epsilon(0.003));
  // The same tokens behind others see more keys: 12 layers by 512 x 1024, 12 by what 128 lack.
  const double behind = prefill_flops<GptOss20b>(shapes.list, 1024, 512) - flops;
  CHECK(behind == doctest::Approx(4 * 4096 * 12.0 * (512 * 1024 + 127 * 128 / 2)));
  CHECK(prefill_flops<GptOss20b>(Shapes<GptOss20b>("f32").list, 0, 512) == flops);
}

TEST_CASE("gpt-oss-20b: bytes of a prefill") {
  const Shapes<GptOss20b> shapes("mxfp4-q8");
  // One token is a step without its own chunk.
  const auto one = prefill_bytes<GptOss20b>(shapes.list, 9, 1, 512, 2),
             step = decode_bytes<GptOss20b>(shapes.list, 9, 1, 2);
  CHECK(one.weights == doctest::Approx(step.weights));
  CHECK(one.caches == step.caches);
  // 512 tokens meet every expert: 24 x 32 x 24.9 M at 4.25 bits, 10.15 GB.
  const double experts = 24 * 32 * 3 * 2880.0 * 2880 * 17 / 32;
  const auto whole = prefill_bytes<GptOss20b>(shapes.list, 0, 512, 512);
  CHECK(whole.weights == doctest::Approx(experts + 1.32e9).epsilon(0.01));
  // 12 full layers see 512 keys, 12 sliding ones all of a chunk and 127 before.
  CHECK(whole.caches == 24.0 * 512 * 2 * 512 * 4);
  const auto halves = prefill_bytes<GptOss20b>(shapes.list, 0, 512, 256);
  const auto sizes = LanguageSizes::bytes<GptOss20b>(shapes.list);
  CHECK(halves.weights ==
        doctest::Approx(2 * whole.weights - sizes.head - 512 * sizes.embedding_row));
  CHECK(halves.caches == 2.0 * 512 * 4 * (12.0 * (256 + 512) + 12.0 * (256 + 383)));
}

TEST_CASE("InternViT-300M: flops of a tile") {
  const double flops = tile_flops<GovGptOss20b>(Shapes<GovGptOss20b>("bf16").list);
  CHECK(flops == doctest::Approx(734e9).epsilon(0.01));
  CHECK(tile_flops<GptOss20b>(Shapes<GptOss20b>("bf16").list) == 0);
  // 304 M parameters of the tower and 20 M of the projector, in 16 bits but for vectors.
  CHECK(tile_bytes(Shapes<GovGptOss20b>("bf16").list) == doctest::Approx(648e6).epsilon(0.01));
  CHECK(tile_bytes(Shapes<GptOss20b>("bf16").list) == 0);
}

struct Tied : GptOss {
  [[maybe_unused]] static constexpr std::string_view name = "Tied";
  static constexpr GptOssConfig config{.hidden_size = 64,
                                       .intermediate_size = 64,
                                       .num_hidden_layers = 1,
                                       .num_attention_heads = 2,
                                       .num_key_value_heads = 1,
                                       .head_dim = 32,
                                       .num_local_experts = 4,
                                       .num_experts_per_tok = 4,
                                       .vocab_size = 1000,
                                       .tie_word_embeddings = true};
};

TEST_CASE("tied embeddings are the head as well") {
  const Shapes<Tied> shapes("f32");
  const auto sizes = LanguageSizes::bytes<Tied>(shapes.list);
  CHECK(sizes.head == 1000 * 64 * 4);
  CHECK(sizes.embedding_row == 64 * 4);
  double all = 0;
  for (const auto& p : shapes.list) all += static_cast<double>(p.size()) * 4;
  CHECK(decode_bytes<Tied>(shapes.list, 0).weights == all + 64 * 4);  // every expert is chosen
}

}  // namespace
