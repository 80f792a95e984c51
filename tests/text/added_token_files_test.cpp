#include "gov/text/added_token_files.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

TEST_CASE("ids of added tokens, from either file; added_tokens.json goes first") {
  const TempFolder folder;
  CHECK(find_image_token(folder.path()) == -1);
  folder.write(
      "tokenizer_config.json",
      R"({"added_tokens_decoder":{"5":{"content":"<img>"},"17":{"content":"<IMG_CONTEXT>"},"x":{"content":"y"}}})");
  CHECK(find_image_token(folder.path()) == 17);
  folder.write("added_tokens.json", R"({"<IMG_CONTEXT>":23,"<img>":5})");
  CHECK(find_image_token(folder.path()) == 23);
  CHECK(find_image_token(folder.path(), "<img>") == 5);
  const AddedTokenFiles files(folder.path());
  CHECK(files.find("<img>") == 5);
  CHECK(files.find("y") == -1);
  folder.write("added_tokens.json", R"({"<IMG_CONTEXT>":"x"})");
  CHECK(code_of([&] { find_image_token(folder.path()); }) == "bad_type");
}

}  // namespace
