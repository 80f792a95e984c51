// Any bytes as text, under the four split patterns: as plain text they decode to themselves (with
// U+FFFD for what is no UTF-8) and hold no added token; parsed, they decode to themselves as well.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gov/text/stream_decoder.hpp"
#include "tests/support/byte_tokenizer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gov;
  static const std::vector<Tokenizer> tokenizers = {
      test::byte_tokenizer(SplitPattern::gpt2), test::byte_tokenizer(SplitPattern::llama3),
      test::byte_tokenizer(SplitPattern::qwen2, true),
      test::byte_tokenizer(SplitPattern::o200k, false, true)};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string valid = to_valid_utf8(text);
  for (std::size_t i = 0; i < tokenizers.size(); ++i) {
    const Tokenizer& tokenizer = tokenizers[i];
    const bool nfc = i == 2;
    const auto plain = tokenizer.encode(text, plain_text);
    for (const int id : plain)
      if (tokenizer.is_added(id)) std::abort();
    if (tokenizer.decode(plain) != (nfc ? to_nfc(valid) : valid)) std::abort();
    if (tokenizer.encode(valid, plain_text) != plain) std::abort();
    const auto parsed = tokenizer.encode(text);
    StreamDecoder stream(tokenizer);
    std::string streamed;
    for (const int id : parsed) {
      const std::string part = stream.push(id);
      if (!is_valid_utf8(part)) std::abort();
      streamed += part;
    }
    streamed += stream.finish();
    if (streamed != tokenizer.decode(parsed)) std::abort();
  }
  return 0;
}
