#include "gov/text/piece_decoder.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/errors.hpp"

namespace piece_decoder_test {

using namespace gov;

PieceDecoder read(std::string_view text) { return PieceDecoder::read(parse_json(text, "t.json")); }

void refused(std::string_view text, Errc code, std::string_view field) {
  CAPTURE(text);
  const Error error = test::thrown([&] { read(text); });
  CHECK(error.code() == code);
  CHECK(error.field() == field);
}

const std::string replace = R"({"type": "Replace", "pattern": {"String": "▁"}, "content": " "})";
const std::string fallback = R"({"type": "ByteFallback"})", fuse = R"({"type": "Fuse"})";
std::string strip(int start, int stop = 0) {
  return R"({"type": "Strip", "content": " ", "start": )" + std::to_string(start) +
         ", \"stop\": " + std::to_string(stop) + "}";
}
std::string sequence(const std::vector<std::string>& steps) {
  std::string text;
  for (const std::string& step : steps) text += (text.empty() ? "" : ",") + step;
  return R"({"type": "Sequence", "decoders": [)" + text + "]}";
}

std::string decode(const PieceDecoder& decoder, const std::vector<std::string>& tokens) {
  PieceDecoder::State state = decoder.start();
  std::string text;
  for (const std::string& token : tokens)
    text += decoder.trim(state, token, decoder.bytes_of(token));
  return text;
}

TEST_CASE("byte tokens are two hexadecimal digits between <0x and >") {
  CHECK(byte_of_fallback("<0x0A>") == 10);
  CHECK(byte_of_fallback("<0xFF>") == 255);
  CHECK(byte_of_fallback("<0xfe>") == 254);
  for (const char* other : {"<0xG0>", "<0x0>", "<0x00A>", "<0x-1>", "0x00>a", "<0x4 >", ""})
    CHECK(byte_of_fallback(other) == -1);
}

TEST_CASE("Llama-2: spaces, bytes, and the first space only") {
  const PieceDecoder llama = read(sequence({replace, fallback, fuse, strip(1)}));
  CHECK_FALSE(llama.byte_level());
  CHECK(decode(llama, {"▁Hello", "▁▁w", "<0x21>"}) == "Hello  w!");
  CHECK(decode(llama, {"▁", "▁", "x"}) == " x");
  CHECK(decode(llama, {"", "<0x20>", "▁x"}) == " x");  // a space by its byte is stripped as well
  CHECK(decode(llama, {"x", "▁y"}) == "x y");
  CHECK(decode(read(sequence({replace, fallback, fuse, strip(3)})), {"▁", "▁", "▁▁x"}) == " x");
  CHECK(decode(read(sequence({replace, fallback, fuse})), {"▁Hello"}) == " Hello");
}

TEST_CASE("Metaspace: the first token has no spaces at all") {
  CHECK(decode(read(R"({"type": "Metaspace", "replacement": "▁"})"), {"▁a▁", "▁b", "<0x21>"}) ==
        "a b<0x21>");
  const char* never = R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"})";
  CHECK(decode(read(never), {"▁a", "▁b"}) == " a b");
}

TEST_CASE("what cannot be decoded as it comes is refused") {
  CHECK(read(R"({"type": "ByteLevel"})").byte_level());
  refused("null", Errc::unsupported, "");
  refused(R"({"type": "WordPiece"})", Errc::unsupported, "");
  refused(sequence({fallback, replace}), Errc::unsupported, "decoders[1]");
  refused(sequence({replace, strip(1)}), Errc::unsupported, "decoders[1]");  // of every token
  refused(sequence({fuse, strip(1), strip(1)}), Errc::unsupported, "decoders[2]");
  refused(sequence({fuse, strip(1, 1)}), Errc::unsupported, "decoders[1].stop");
  refused(sequence({fuse, strip(5000)}), Errc::limit_exceeded, "decoders[1].start");
  refused(sequence({R"({"type": "Replace", "pattern": {"String": "a"}, "content": "bb"})"}),
          Errc::unsupported, "decoders[0].content");
  refused(sequence({fuse, R"({"type": "Strip", "content": "▁", "start": 1, "stop": 0})"}),
          Errc::unsupported, "decoders[1].content");
}

}  // namespace piece_decoder_test
