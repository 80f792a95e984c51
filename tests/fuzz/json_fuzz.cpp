// Any bytes: a gov::Error, or a document that reads back the same after being written out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gov/io/json_writer.hpp"

namespace {

void visit(const gov::Json& json, const std::string& path) {
  if (json.path() != path && path.size() < 100) std::abort();
  try {
    (void)json.as_double();
    (void)json.as_int();
  } catch (const gov::Error&) {
  }
  if (json.is_array()) {
    std::size_t i = 0;
    for (const gov::Json& element : json.elements())
      visit(element, path + "[" + std::to_string(i++) + "]");
  }
  if (json.is_object())
    for (const auto& [key, value] : json.items()) {
      const auto found = json.find(key);
      if (!found || found->kind() != value.kind()) std::abort();
      visit(value, path.empty() ? std::string(key) : path + "." + std::string(key));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  gov::Json json;
  try {
    json = gov::parse_json(text, "fuzz.json");
  } catch (const gov::Error&) {
    return 0;
  }
  visit(json, "");
  const std::string once = gov::dump(json, -1);
  if (gov::dump(gov::parse_json(once, "again"), -1) != once) std::abort();
  if (gov::dump(gov::parse_json(gov::dump(json, 3), "again"), -1) != once) std::abort();
  return 0;
}
