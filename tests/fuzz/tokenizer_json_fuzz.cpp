// tokenizer.json from anywhere: an error, or a tokenizer whose decoding of its own tokens gives the
// text back, streamed or whole.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gov/text/stream_decoder.hpp"
#include "gov/text/tokenizer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gov;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const Tokenizer tokenizer = Tokenizer::parse(text, "input");
    for (const std::string_view sample :
         {std::string_view("abc ab<|x|> it's 12 e\u0301\n"), text.substr(0, 300)}) {
      try {
        const auto ids = tokenizer.encode(sample);
        StreamDecoder stream(tokenizer);
        std::string streamed;
        for (const int id : ids) {
          if (!tokenizer.contains(id)) std::abort();
          streamed += stream.push(id);
        }
        streamed += stream.finish();
        if (streamed != tokenizer.decode(ids)) std::abort();
      } catch (const Error&) {
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
