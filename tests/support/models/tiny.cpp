#include "tests/support/models/tiny.hpp"

namespace gov {

GOV_TEST_MODELS()

}  // namespace gov
