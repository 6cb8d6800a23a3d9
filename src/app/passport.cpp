#include "app/passport.hpp"

#include <cstdlib>

#include "core/format.hpp"
#include "pixelwise/core/cpu.hpp"
#include "pixelwise/core/parallel.hpp"
#include "pixelwise/core/version.hpp"

namespace pixelwise {
namespace {

JsonValue pair_of(Size size) { return JsonValue::Array{size.h, size.w}; }

// Everything between the files and the network, as the configuration has it.
JsonValue preprocessing(const Config& config) {
  const JsonValue all = parse_json(config_json(config), "configuration");
  JsonValue::Object result{{"normalize", all.at("model").at("normalize")}};
  for (const char* key : {"resize", "centre_crop", "first"}) {
    if (const JsonValue* value = all.at("data").find(key)) result.emplace_back(key, *value);
  }
  result.emplace_back("pad_to", config.eval.protocol == "padded" ? all.at("eval").at("pad_to") : JsonValue());
  return result;
}

std::string kernels() {
  const char* forced = std::getenv("PIXELWISE_KERNELS");
  return forced && *forced ? forced : "selected";
}

}  // namespace

void Passport::add(const Sample& sample, const Image& prediction) {
  const Size size = sample.mask.size();
  if (samples_ == 0 || size.h * size.w < smallest_.h * smallest_.w) smallest_ = size;
  if (samples_ == 0 || size.h * size.w > largest_.h * largest_.w) largest_ = size;
  ++samples_;
  list_.add(sample.id + "\n");
  predictions_.add(std::as_bytes(std::span(prediction.pixels)));
}

JsonValue::Object Passport::json(const Config& config, const Measured& measured) const {
  const bool ours = !measured.weights.empty();  // else nothing is known of how the predictions were made
  const JsonValue none;
  return {{"convention", to_string(measured.convention)},
          {"data", JsonValue::Object{{"format", config.data.format},
                                     {"root", config.data.root},
                                     {"split", measured.split},
                                     {"samples", samples_},
                                     {"list_sha256", list_.hex()}}},
          {"resolution", JsonValue::Object{{"smallest", samples_ ? pair_of(smallest_) : none},
                                           {"largest", samples_ ? pair_of(largest_) : none}}},
          {"ignore_label", config.data.ignore_label},
          {"protocol", ours ? JsonValue(config.eval.protocol) : none},
          {"preprocessing", ours ? preprocessing(config) : none},
          {"decoder", image_decoders()},
          {"weights",
           ours ? JsonValue(JsonValue::Object{{"file", measured.weights}, {"sha256", sha256_of_file(measured.weights)}})
                : none},
          {"predictions", JsonValue::Object{{"folder", ours ? none : JsonValue(measured.predictions)},
                                            {"sha256", predictions_.hex()}}},
          {"precision", ours ? JsonValue(config.precision) : none},
          {"machine", ours ? JsonValue(JsonValue::Object{{"cpu", cpu_name()},
                                                         {"instruction_set", to_string(isa())},
                                                         {"kernels", kernels()},
                                                         {"threads", thread_count()}})
                           : none},
          {"version", version()}};
}

std::string Passport::line(const Config& config, const Measured& measured) const {
  const auto size = [](Size s) { return format("{}x{}", s.h, s.w); };
  const std::string sizes = smallest_ == largest_ ? size(smallest_) : size(smallest_) + " to " + size(largest_);
  std::string text = format("measured on {} ({} samples, list {:.8})", measured.split, samples_, list_.hex());
  text += config.data.resize ? " at masks resized to " + sizes : format(" at the masks' own size ({})", sizes);
  if (measured.weights.empty()) return text + format("; predictions {:.8}\n", predictions_.hex());
  if (config.eval.protocol == "padded") text += format(", photos padded to {}", size(*config.eval.pad_to));
  return text + format("; predictions {:.8}, precision {}, {}, version {}\n", predictions_.hex(), config.precision,
                       to_string(isa()), version());
}

}  // namespace pixelwise
