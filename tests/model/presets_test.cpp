#include "gov/model/presets.hpp"

#include <doctest/doctest.h>

namespace {

struct NoBias : gov::InternVitModules {
  static constexpr gov::InternVitConfig config{};
};
struct NotesAsIntended : gov::InternVl {
  [[maybe_unused]] static constexpr std::string_view name = "NotesAsIntended";
  using Vision = gov::GovNotes::Vision;
  struct Language : gov::GptOss {
    static constexpr gov::GptOssConfig config = [] {
      gov::GptOssConfig c = gov::GovNotes::Language::config;
      c.num_local_experts = 4;
      return c;
    }();
  };
  static constexpr gov::InternVlConfig config{};
};
struct WithHead : gov::InternVl {
  [[maybe_unused]] static constexpr std::string_view name = "WithHead";
  using Vision = NoBias;
  using Language = gov::GptOss120b;
  static constexpr gov::InternVlConfig config{};
};

}  // namespace

// Part G of the systems' notes; the rest stands in presets.hpp.
static_assert(gov::parameter_count<gov::InternVit<NoBias>> == 303'938'560);
static_assert(gov::parameter_count<gov::Decoder<gov::GptOss20b>::Block> == 823'186'976);
static_assert(gov::parameter_count<gov::Decoder<gov::GptOss120b>::Block> == 3'213'080'192);
static_assert(gov::parameter_count<gov::Architecture<WithHead>> == 117'153'200'064);
static_assert(gov::parameter_count<gov::Architecture<NotesAsIntended>::Base> == 464'912);
static_assert(
    gov::parameter_count<gov::PixelShuffleMlp<1024, 896, 2, gov::kernel::Activation::gelu>> ==
    4'482'816);
static_assert(
    gov::parameter_count<gov::PixelShuffleMlp<1024, 2880, 2, gov::kernel::Activation::gelu>> ==
    20'104'832);

// Of 938,198,400: with 304,012,288 of the tower and 4,482,816 of the projector, Qwen2's untied
// 629,703,296. The ids of the three new tokens are those of the three new rows.
static_assert(gov::parameter_count<gov::Architecture<gov::InternVl3_1bLatent>> ==
              304'012'288 + 4'482'816 + 629'703'296);
static_assert(gov::InternVl3_1b::Language::config.vocab_size == 151674);
static_assert(gov::InternVl3_1bLatent::Language::config.vocab_size == 151677);

TEST_CASE("a tile of 448 pixels is 256 tokens, of the tiny twin 4") {
  CHECK(gov::Architecture<gov::InternVl35GptOss20b>::Images::image_tokens(448, 448) == 256);
  CHECK(gov::Architecture<gov::TinyGov>::Images::image_tokens(32, 32) == 4);
}

TEST_CASE("windows of gpt-oss alternate, layer 0 sliding") {
  for (gov::index_t layer = 0; layer < 24; ++layer)
    CHECK(gov::GptOss20b::config.window(layer) == (layer % 2 == 0 ? 128 : 0));
}
