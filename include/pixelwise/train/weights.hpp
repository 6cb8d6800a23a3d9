// Weights in and out of safetensors files: PyTorch's names and order of dimensions outside, ours inside.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "pixelwise/io/safetensors.hpp"
#include "pixelwise/nn/parameters.hpp"

namespace pixelwise {

/// Config key `model.weights.load`: which part of a model a file has to hold.
enum class LoadMode {
  all,                 ///< every parameter and state, in the right shape, and nothing else
  all_but_classifier,  ///< as all, without the parameters that depend on the number of classes
  backbone,            ///< every one under "backbone.", in the right shape; all else in the file is passed over
  matching,  ///< what has the same name and shape; the rest keeps its values (FCN-16s from FCN-32s, other classes)
};
LoadMode load_mode(const std::string& name);  ///< "all", "all_but_classifier", ...; throws UsageError

/// What loading a file came to; all names are sorted.
struct LoadReport {
  std::vector<std::string> matched;      ///< of the model: loaded
  std::vector<std::string> missing;      ///< of the model: not in the file
  std::vector<std::string> unexpected;   ///< of the file: the model has no such name
  std::vector<std::string> wrong_shape;  ///< "NAME: 21x512x1x1 in the file, 11x512x1x1 in the model"
  std::vector<std::string> left_out;     ///< of the model: not asked for, whether the file has it or not
};
std::string to_string(const LoadReport& report);  ///< one line of counts, and a line for every list that is not empty

/// The name that a tensor of a file has in the model: its own, or by the table of prefixes that lets torchvision's
/// classifiers load (features.0. -> backbone.features.0.; layer1. -> backbone.layer1.; VGG16's classifier.0. ->
/// classifier.fc6. and classifier.3. -> classifier.fc7.). Empty: the model has none.
std::string model_name_of(const std::string& file_name, const Parameters& parameters);

/// Loads what `mode` says. A matrix {O, I} loads into a convolution {O, i, h, w} of as many weights (Long et al. 2015,
/// section 4.1: fully connected layers become convolutions). `num_batches_tracked` is passed over. Throws DataError
/// naming file and tensor: for a wrong checksum or a value that is not finite always, for missing, unexpected and
/// misshapen ones as the mode says; and where not one tensor matches. `classifier`: the parameters that depend on the
/// number of classes (classifier_of).
LoadReport load_weights(const SafetensorsFile& file, Parameters& parameters, LoadMode mode,
                        const std::vector<std::string>& classifier = {});
LoadReport load_weights(const std::string& path, Parameters& parameters, LoadMode mode,
                        const std::vector<std::string>& classifier = {});

/// All parameters and states of the model, atomically; those of a loss (class weights) are left out.
void save_weights(const std::string& path, const Parameters& parameters,
                  const std::map<std::string, std::string>& metadata);

// The pieces, for checkpoints.

/// The tensor of a file that holds `parameter` in PyTorch's order; permuted as it is written, in small pieces.
TensorToWrite tensor_to_write(const Parameter& parameter, const std::string& name);
/// The reverse. Throws DataError naming file and tensor for another shape or a value that is not finite.
void read_parameter(const SafetensorsFile& file, const TensorInfo& tensor, Parameter& parameter);

}  // namespace pixelwise
