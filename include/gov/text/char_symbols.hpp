// What BPE starts from in SentencePiece-like files: one symbol per character. A character that is
// no token becomes its bytes, "<0xE2>" and so on, where there is byte_fallback and all of them are
// tokens; else unk_token, once for characters side by side where fuse_unk is set.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "gov/core/error.hpp"
#include "gov/text/bpe.hpp"
#include "gov/text/utf8.hpp"
#include "gov/text/vocabulary.hpp"

namespace gov {

struct CharSymbols {
  std::array<int, 256> byte_ids = filled(-1);  // all -1 without byte_fallback
  int unk_id = -1;
  bool fuse_unk = false;

  // "<0x0A>" for 10.
  static std::string byte_token(unsigned byte) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    return {'<', '0', 'x', digits[byte >> 4 & 15], digits[byte & 15], '>'};
  }

  void set_byte_fallback(const Vocabulary& vocabulary) {
    for (unsigned byte = 0; byte < 256; ++byte)
      byte_ids[byte] = vocabulary.find(byte_token(byte), false);
  }

  // Fills scratch.symbols from valid UTF-8. As in the tokenizers package, an unknown character is
  // put down when the next known one comes, so that bytes between them stand before it.
  void read(std::string_view piece, const Vocabulary& vocabulary, BpeScratch& scratch) const {
    Bpe::check_length(piece);
    scratch.symbols.clear();
    scratch.symbols.reserve(piece.size());
    bool unknown = false;
    for (std::size_t at = 0; at < piece.size();) {
      const std::string_view c = piece.substr(at, decode_utf8(piece, at).length);
      at += c.size();
      if (const int id = vocabulary.find(c, false); id >= 0) {
        if (unknown) scratch.add(unk_id);
        unknown = false;
        scratch.add(id);
        continue;
      }
      if (add_bytes(c, scratch)) continue;
      if (unk_id < 0)
        throw Error({.code = Errc::bad_prompt,
                     .file = {},
                     .field = "text",
                     .expected = "characters that the vocabulary has tokens for",
                     .found = std::string(c)});
      if (unknown && !fuse_unk) scratch.add(unk_id);
      unknown = true;
    }
    if (unknown) scratch.add(unk_id);
  }

 private:
  static constexpr std::array<int, 256> filled(int id) {
    std::array<int, 256> ids{};
    for (int& each : ids) each = id;
    return ids;
  }

  bool add_bytes(std::string_view character, BpeScratch& scratch) const {
    const auto id = [&](char c) { return byte_ids[static_cast<unsigned char>(c)]; };
    for (const char c : character)
      if (id(c) < 0) return false;
    for (const char c : character) scratch.add(id(c));
    return true;
  }
};

}  // namespace gov
