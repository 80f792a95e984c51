// gov::Error: what every reader of files and user input throws. It names the file, the field in it,
// what was expected and what was found. The library itself never aborts, exits or prints.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace gov {

enum class Errc {
  // files and JSON
  io_error,
  bad_utf8,
  bad_json,
  too_deep,
  duplicate_key,
  missing_field,
  unknown_field,
  bad_type,
  bad_number,
  limit_exceeded,
  // safetensors
  header_too_small,
  header_too_large,
  header_truncated,
  file_truncated,
  trailing_data,
  bad_offsets,
  bad_name,
  bad_metadata,
  unknown_dtype,
  rank_too_high,
  dim_too_large,
  overflow,
  size_mismatch,
  hole,
  overlap,
  sub_byte_misaligned,
  bad_shard,
  not_finite,
  // checkpoints and configs
  bad_config,
  no_matching_model,
  checkpoint_mismatch,
  unsupported,
  // tokenizers, prompts, images
  bad_tokenizer,
  bad_prompt,
  bad_image,
  image_too_large,
  image_count_mismatch,
  bad_video,
  // running
  bad_argument,
  context_full,
  truncated_too_far,
  cancelled,
  out_of_memory,
  bad_logits,
};

constexpr std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::io_error: return "io_error";
    case Errc::bad_utf8: return "bad_utf8";
    case Errc::bad_json: return "bad_json";
    case Errc::too_deep: return "too_deep";
    case Errc::duplicate_key: return "duplicate_key";
    case Errc::missing_field: return "missing_field";
    case Errc::unknown_field: return "unknown_field";
    case Errc::bad_type: return "bad_type";
    case Errc::bad_number: return "bad_number";
    case Errc::limit_exceeded: return "limit_exceeded";
    case Errc::header_too_small: return "header_too_small";
    case Errc::header_too_large: return "header_too_large";
    case Errc::header_truncated: return "header_truncated";
    case Errc::file_truncated: return "file_truncated";
    case Errc::trailing_data: return "trailing_data";
    case Errc::bad_offsets: return "bad_offsets";
    case Errc::bad_name: return "bad_name";
    case Errc::bad_metadata: return "bad_metadata";
    case Errc::unknown_dtype: return "unknown_dtype";
    case Errc::rank_too_high: return "rank_too_high";
    case Errc::dim_too_large: return "dim_too_large";
    case Errc::overflow: return "overflow";
    case Errc::size_mismatch: return "size_mismatch";
    case Errc::hole: return "hole";
    case Errc::overlap: return "overlap";
    case Errc::sub_byte_misaligned: return "sub_byte_misaligned";
    case Errc::bad_shard: return "bad_shard";
    case Errc::not_finite: return "not_finite";
    case Errc::bad_config: return "bad_config";
    case Errc::no_matching_model: return "no_matching_model";
    case Errc::checkpoint_mismatch: return "checkpoint_mismatch";
    case Errc::unsupported: return "unsupported";
    case Errc::bad_tokenizer: return "bad_tokenizer";
    case Errc::bad_prompt: return "bad_prompt";
    case Errc::bad_image: return "bad_image";
    case Errc::image_too_large: return "image_too_large";
    case Errc::image_count_mismatch: return "image_count_mismatch";
    case Errc::bad_video: return "bad_video";
    case Errc::bad_argument: return "bad_argument";
    case Errc::context_full: return "context_full";
    case Errc::truncated_too_far: return "truncated_too_far";
    case Errc::cancelled: return "cancelled";
    case Errc::out_of_memory: return "out_of_memory";
    case Errc::bad_logits: return "bad_logits";
  }
  return "error";
}

// The parts of an error; empty parts are left out of the message.
struct ErrorInfo {
  Errc code{};
  std::string file;      // path or name of the input, "" if there is none
  std::string field;     // key, tensor or argument
  std::string expected;  // "a multiple of 32"
  std::string found;     // "33"
};

class Error : public std::runtime_error {
 public:
  explicit Error(ErrorInfo info) : std::runtime_error(compose(info)), info_(std::move(info)) {}

  Errc code() const { return info_.code; }
  const std::string& file() const { return info_.file; }
  const std::string& field() const { return info_.field; }
  const std::string& expected() const { return info_.expected; }
  const std::string& found() const { return info_.found; }
  const ErrorInfo& info() const { return info_; }

 private:
  // file: field: expected X, found Y [code]; control bytes of untrusted text are escaped.
  static std::string compose(const ErrorInfo& info) {
    std::string text;
    const auto part = [&text](const std::string& prefix, const std::string& value) {
      if (value.empty()) return;
      text += prefix;
      constexpr char digits[] = "0123456789abcdef";
      for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 && c != '\n') {
          text += "\\x";
          text += digits[byte >> 4];
          text += digits[byte & 15];
        } else {
          text += c;
        }
      }
    };
    part("", info.file);
    part(text.empty() ? "" : ": ", info.field);
    part(text.empty() ? "expected " : ": expected ", info.expected);
    part(text.empty() ? "found " : info.expected.empty() ? ": found " : ", found ", info.found);
    return text + " [" + std::string(to_string(info.code)) + "]";
  }

  ErrorInfo info_;
};

}  // namespace gov
