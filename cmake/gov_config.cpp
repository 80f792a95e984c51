// gov_config: writes a Config type from a checkpoint's config.json, so that a new geometry needs no
// hand-written line. gov_add_model() builds and runs it.
//   gov_config --name Name --config FOLDER|config.json [--storage S] --output Name.hpp
#include <fstream>
#include <iostream>
#include <set>

#include "gov/model/description.hpp"
#include "gov/model/storage_policy.hpp"

namespace {

std::string header(const std::string& name, const std::string& storage,
                   const gov::ModelDescription& description) {
  const auto config = [](std::string_view type, const std::string& code, std::string_view indent) {
    return std::string(indent) + "static constexpr " + std::string(type) + " config" + code + ";\n";
  };
  const auto title = [&](std::string_view indent) {
    std::string text =
        std::string(indent) + "static constexpr std::string_view name = \"" + name + "\";\n";
    if (!storage.empty())
      text += std::string(indent) + "static constexpr std::string_view storage = \"" + storage +
              "\";\n";
    return text;
  };
  // The struct's type and the modules that go with it; a nested one is not asked about tying.
  const auto language = [&](std::string_view indent) {
    gov::AnyLanguage of = description.language;
    if (description.composition) of.set_tied(false);
    return of.visit(
        [&]<class C>(const C& c) { return config(C::type, gov::config_code(c), indent); });
  };
  const auto of_family = [&](const auto& member) { return description.language.visit(member); };
  const std::string modules(of_family([]<class C>(const C&) { return C::modules; }));
  std::set<std::string> headers{
      std::string(of_family([]<class C>(const C&) { return C::header; }))};
  if (description.composition) {
    const auto header_of = []<class C>(const C&) { return std::string(C::header); };
    headers.insert(description.composition->vision.visit(header_of));
    headers.insert(description.composition->config.visit(header_of));
  }
  std::string text =
      "// Made by gov_config from a config.json; made again when that file changes.\n"
      "#pragma once\n\n";
  for (const auto& file : headers) text += "#include <" + file + ">\n";
  text += "\n";
  if (!description.composition)
    return text + "struct " + name + " : " + modules + " {\n" + title("  ") + language("  ") +
           "};\n";
  const auto modules_of = []<class C>(const C&) { return std::string(C::modules); };
  const auto code_of = [&](std::string_view indent) {
    return [&config, indent]<class C>(const C& c) {
      return config(C::type, gov::config_code(c), indent);
    };
  };
  const auto& [vision, between] = *description.composition;
  return text + "struct " + name + " : " + between.visit(modules_of) + " {\n" + title("  ") +
         "  struct Vision : " + vision.visit(modules_of) + " {\n" + vision.visit(code_of("    ")) +
         "  };\n  struct Language : " + modules + " {\n" + language("    ") + "  };\n" +
         between.visit(code_of("  ")) + "};\n";
}

bool is_identifier(const std::string& text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text)
    if (!(c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
      return false;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::string name, config, storage, output;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    std::string* const value = key == "--name"      ? &name
                               : key == "--config"  ? &config
                               : key == "--storage" ? &storage
                               : key == "--output"  ? &output
                                                    : nullptr;
    if (value) *value = argv[i + 1];
  }
  if (argc % 2 == 0 || !is_identifier(name) || config.empty() || output.empty()) {
    std::cerr << "usage: gov_config --name Name --config FOLDER|config.json [--storage S] --output "
                 "FILE\n";
    return 2;
  }
  try {
    if (!storage.empty()) gov::parse_storage(storage);
    const std::string text = header(name, storage, gov::describe(config));
    std::ofstream file(output, std::ios::trunc);
    file << text;
    file.close();
    if (!file)
      throw gov::Error({.code = gov::Errc::io_error,
                        .file = output,
                        .field = {},
                        .expected = "to write it",
                        .found = "an error"});
  } catch (const gov::Error& error) {
    std::cerr << "gov_config: error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
