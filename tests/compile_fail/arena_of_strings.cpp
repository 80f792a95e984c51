// An Arena never runs destructors, so it refuses types that need one.
// expect: is_trivially_destructible
#include <string>
#include <gov/core/arena.hpp>

void use(gov::Arena& arena) {
  arena.allocate<float>(4);
#ifdef GOV_FAIL
  arena.allocate<std::string>(4);
#endif
}
