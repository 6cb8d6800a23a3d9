// A configuration, and after each zero byte a setting of `--set`: what is accepted reads back as what was meant, and
// its graph is built or refused.
#include "pixelwise/app/config.hpp"

#include "fuzz/fuzz.hpp"
#include "pixelwise/app/experiment.hpp"

using namespace pixelwise;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> settings;
  for (size_t zero; (zero = text.rfind('\0')) != std::string::npos; text.resize(zero))
    settings.push_back(text.substr(zero + 1));
  Config config;
  if (!accepted([&] { config = parse_config_text(text, "input", settings); })) return 0;

  const std::string written = config_json(config);
  require(config_json(parse_config_text(written, "written")) == written, "a written configuration reads back");
  require(class_names(config).size() == static_cast<size_t>(config.model.classes), "every class has a name");
  augment_options(config);
  accepted([&] { inference_graph(model_spec(config), {1, 64, 64, config.model.in_channels}); });
  return 0;
}
