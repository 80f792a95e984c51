// Prints the parity of a checkpoint at real width with transformers: gov_real_width FOLDER
// [backend].
#include <cstdio>

#include "RealWidth.hpp"
#include "tests/parity/parity.hpp"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  gov::test::ParityOptions options;
  options.backend = argc > 2 ? argv[2] : "avx2";
  bool right = true;
  try {
    for (const auto& r : gov::test::run_geometry<RealWidth>(argv[1], options)) {
      std::printf(
          "%-10s features %.1e hidden %.1e router %.1e logits %.1e nmse %.1e routes %ld/%ld tokens "
          "%ld/%ld\n",
          r.name.c_str(), r.features, r.hidden, r.router, r.logits, r.logits_nmse,
          static_cast<long>(r.routes_equal), static_cast<long>(r.routes),
          static_cast<long>(r.tokens_equal), static_cast<long>(r.tokens));
      right = right && std::max({r.features, r.hidden, r.router, r.logits}) <= 1e-5 &&
              r.tokens_equal == r.tokens;
    }
  } catch (const gov::Error& error) {
    std::printf("%s\n", error.what());
    right = false;
  }
  return right ? 0 : 1;
}
