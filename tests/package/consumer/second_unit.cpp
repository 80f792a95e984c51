#include <gov/gov.hpp>

gov::index_t second_unit() { return gov::round_up(1, gov::block_size); }
