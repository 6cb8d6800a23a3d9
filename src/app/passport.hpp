// The metric passport: all that somebody needs to get the same numbers again, or to see why theirs are others.
#pragma once
#include <string>

#include "pixelwise/app/config.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/io/sha256.hpp"
#include "pixelwise/train/conventions.hpp"

namespace pixelwise {

/// What is measured: weights, or a folder of predictions.
struct Measured {
  std::string weights, predictions, split;
  Convention convention = Convention::pixelwise;
};

/// Grows with every sample that is measured.
class Passport {
 public:
  void add(const Sample& sample, const Image& prediction);
  JsonValue::Object json(const Config& config, const Measured& measured) const;
  /// One line of it, for the table.
  std::string line(const Config& config, const Measured& measured) const;

 private:
  int64_t samples_ = 0;
  Size smallest_, largest_;  // photos, by their number of pixels
  Sha256 list_, predictions_;
};

}  // namespace pixelwise
