// A language model alone has no vision tower to ask for.
// expect: multimodal
#include <gov/model/gov_model.hpp>

template <class Cfg>
void look(const gov::GovModel<Cfg>& model) {
  model.embed_tokens();
#ifdef GOV_FAIL
  model.vision_tower();
#endif
}
template void look(const gov::GovModel<gov::TinyGptOss>&);
