#include "gov/text/vocabulary.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace gov;

TEST_CASE("tokens are found by id and by bytes") {
  Vocabulary vocabulary;
  CHECK(vocabulary.find("a", false) == -1);
  REQUIRE(vocabulary.reserve(3, 9));
  CHECK(vocabulary.add(0, "a", false) == Vocabulary::Added::ok);
  CHECK(vocabulary.add(9, "ab", false) == Vocabulary::Added::ok);
  CHECK(vocabulary.add(9, "b", false) == Vocabulary::Added::id_taken);
  CHECK(vocabulary.add(1, "ab", false) == Vocabulary::Added::token_taken);
  CHECK(vocabulary.add(1, "ab", true) == Vocabulary::Added::ok);  // another kind of token
  CHECK(vocabulary.find("ab", false) == 9);
  CHECK(vocabulary.find("ab", true) == 1);
  CHECK(vocabulary.find("abc", false) == -1);
  CHECK(vocabulary.get(5) == nullptr);
  CHECK(vocabulary.get(-1) == nullptr);
  CHECK(vocabulary.get(10) == nullptr);
  REQUIRE(vocabulary.get(9));
  CHECK(vocabulary.bytes(*vocabulary.get(9)) == "ab");
  vocabulary.mark_added(9, true);
  CHECK(vocabulary.get(9)->special);
  CHECK(vocabulary.count() == 3);
  CHECK(vocabulary.id_end() == 10);
}

TEST_CASE("growing keeps what is there; wide gaps are refused before memory is taken") {
  Vocabulary vocabulary;
  REQUIRE(vocabulary.reserve(1000, 999));
  for (int id = 0; id < 1000; ++id)
    REQUIRE(vocabulary.add(id, std::to_string(id), false) == Vocabulary::Added::ok);
  REQUIRE(vocabulary.reserve(2000, 5000));
  CHECK(vocabulary.find("777", false) == 777);
  CHECK(vocabulary.add(5000, "x", false) == Vocabulary::Added::ok);
  CHECK_FALSE(vocabulary.reserve(10, Vocabulary::max_id));
  CHECK(vocabulary.id_end() == 5001);
}
