// Nothing of a stop string is ever shown, wherever its pieces begin and end, and nothing else is
// lost.
#include "gov/infer/stop_strings.hpp"

#include <doctest/doctest.h>

namespace {

using gov::StopStrings;

struct Case {
  std::vector<std::string> stops;
  std::string text, shown;
  bool found;
};
const Case cases[] = {
    {{}, "all of it", "all of it", false},
    {{""}, "empty ones count for nothing", "empty ones count for nothing", false},
    {{"END"}, "the END is near", "the ", true},
    {{"END"}, "EN EN EEND", "EN EN E", true},
    {{"END"}, "no e-n-d, EN", "no e-n-d, EN", false},
    {{"aab"}, "aaaaab", "aaa", true},
    {{"abab", "b"}, "xabab", "xa", true},
    {{"abc", "b"}, "abc", "a", true},  // the one that is complete first
    {{"bc", "abcd"}, "abcd", "a", true},
    {{"b", "ab"}, "ab", "", true},
    {{"x"}, "x", "", true},
    {{"\n\n"}, "line\nline\n\nmore", "line\nline", true},
    {{"né"}, "a né", "a ", true},
    {{"日本"}, "東日光日本語", "東日光", true},
};

TEST_CASE("the text before the first stop string is shown, for every cut into pieces") {
  for (const auto& each : cases)
    for (std::size_t piece = 1; piece <= each.text.size(); ++piece) {
      CAPTURE(each.text);
      CAPTURE(piece);
      StopStrings stops(each.stops);
      std::string shown;
      for (std::size_t at = 0; at < each.text.size(); at += piece)
        shown += stops.push(each.text.substr(at, piece));
      CHECK(each.shown.starts_with(shown));
      shown += stops.finish();
      CHECK(stops.found() == each.found);
      CHECK(shown == each.shown);
      CHECK(stops.push("more") == (each.found ? "" : "more"));
    }
}

TEST_CASE("only what could become a stop string is held back") {
  StopStrings stops({"<end>", "</s>"});
  CHECK(stops.push("a<") == "a");
  CHECK(stops.push("b") == "<b");
  CHECK(stops.push("<en") == "");
  CHECK(stops.push("d<en") == "<end");
  CHECK(stops.push("d> gone") == "");
  CHECK(stops.found());
  CHECK(stops.push("more") == "");
  CHECK(stops.finish() == "");
}

TEST_CASE("a long text costs its length, not its square") {
  StopStrings stops({std::string(64, 'a') + "b"});
  std::size_t shown = 0;
  for (int i = 0; i < 100'000; ++i) shown += stops.push("a").size();
  CHECK(shown == 100'000 - 64);
  CHECK(stops.finish().size() == 64);
}

}  // namespace
