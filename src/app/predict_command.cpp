#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <sstream>

#include "app/pictures.hpp"
#include "app/sampling.hpp"
#include "app/weights_of_run.hpp"
#include "core/format.hpp"
#include "pixelwise/app/commands.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/core/progress.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/npy.hpp"
#include "pixelwise/train/signal.hpp"

namespace pixelwise {

namespace fs = std::filesystem;

namespace {

struct Job {
  std::string photo;
  fs::path stem;  // of the outputs, in the output folder, without suffix
};

// A folder gives its images, sorted; a text file is a list of images, relative to its own folder.
std::vector<Job> jobs_of(const std::string& input) {
  std::vector<Job> jobs;
  if (fs::is_directory(input)) {
    for (const auto& entry : fs::recursive_directory_iterator(input)) {
      if (entry.is_regular_file() && is_image_path(entry.path().string()))
        jobs.push_back({entry.path().string(), entry.path().lexically_relative(input).replace_extension()});
    }
    std::sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) { return a.photo < b.photo; });
    if (jobs.empty()) throw DataError(format("{}: the folder holds no image", input));
  } else if (is_image_path(input)) {
    jobs.push_back({input, fs::path(input).stem()});
  } else {
    std::istringstream lines(read_file(input));
    for (std::string line; std::getline(lines, line);) {
      line.erase(line.find_last_not_of(" \t\r") + 1);
      if (line.empty()) continue;
      const fs::path path = fs::path(line).is_absolute() ? fs::path(line) : fs::path(input).parent_path() / line;
      jobs.push_back({path.string(), fs::path(line).relative_path().lexically_normal().replace_extension()});
    }
    if (jobs.empty()) throw DataError(format("{}: the list is empty", input));
  }
  return jobs;
}

std::vector<std::string> suffixes_of(const PredictArguments& arguments) {
  std::vector<std::string> suffixes{".png", "_overlay.png"};
  if (arguments.planes) suffixes.push_back("_planes.png");
  if (arguments.probabilities) suffixes.push_back(".npy");
  if (arguments.samples) suffixes.insert(suffixes.end(), {"_mean.png", "_variance.png"});
  return suffixes;
}

std::string output_path(const PredictArguments& arguments, const Job& job, const std::string& suffix) {
  return (fs::path(arguments.out) / job.stem).string() + suffix;
}

// No output may be an input or another output: looked at before anything is written.
void check_outputs(const PredictArguments& arguments, const std::vector<Job>& jobs) {
  std::map<fs::path, std::string> owner;  // of a path
  for (const Job& job : jobs) owner.emplace(fs::weakly_canonical(job.photo), "the input " + job.photo);
  for (const Job& job : jobs) {
    for (const fs::path& part : job.stem) {
      if (part == "..") throw UsageError(format("{}: its output would lie outside of {}", job.photo, arguments.out));
    }
    for (const std::string& suffix : suffixes_of(arguments)) {
      const std::string path = output_path(arguments, job, suffix);
      const auto [found, added] = owner.emplace(fs::weakly_canonical(path), "the output of " + job.photo);
      if (!added)
        throw UsageError(
            format("the output {} of {} would overwrite {}: nothing was written; choose another --out or "
                   "rename the photo",
                   path, job.photo, found->second));
    }
  }
}

void check_dropout(const TrainedModel& model) {
  const ModelSpec spec = model_spec(model.config());
  constexpr int64_t any = 64;
  if (!has_dropout(inference_graph(spec, {1, any, any, spec.in_channels}, {false, false, true})))
    throw UsageError(format(
        "--samples: the model '{}' has no dropout as it was trained, so that all samples would be equal; wanted "
        "one with dropout: segnet or segnet_basic with model.options.bayesian, an FCN on VGG16 or a DeepLab with "
        "model.options.dropout above 0",
        spec.name));
}

Image ids_of(const View& prediction) {
  Image ids(prediction.shape.h, prediction.shape.w, 1);
  std::copy_n(prediction.as<uint8_t>(), ids.pixels.size(), ids.pixels.data());
  return ids;
}

// The class of the largest plane at every pixel.
Image largest(const View& planes) {
  Image ids(planes.shape.h, planes.shape.w, 1);
  for (int64_t y = 0; y < ids.height; ++y) {
    for (int64_t x = 0; x < ids.width; ++x) {
      const float* p = planes.at<float>(0, y, x);
      *ids.at(y, x) = static_cast<uint8_t>(std::max_element(p, p + planes.shape.c) - p);
    }
  }
  return ids;
}

Image sheet_of(std::vector<Picture> pictures) {
  std::vector<std::vector<Picture>> rows;
  constexpr size_t columns = 6;
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (i % columns == 0) rows.emplace_back();
    rows.back().push_back(std::move(pictures[i]));
  }
  return draw_sheet(rows);
}

void predict(const PredictArguments& arguments, const Job& job, const TrainedModel& model, ExecutorCache& executors) {
  const Config& config = model.config();
  const Image photo = read_photo(job.photo, config.model.in_channels);
  Executor& executor = executors.at({1, photo.height, photo.width, photo.channels});
  write_input(photo, config.model.normalize, executor.view("image"), 0);
  Samples samples;
  if (arguments.samples) {
    samples = sample_dropout(executor, arguments.samples, arguments.seed);
  } else {
    executor.run();
  }
  const Image ids = arguments.samples ? largest(samples.mean_view()) : ids_of(executor.view("prediction"));
  fs::create_directories(fs::path(output_path(arguments, job, "")).parent_path());
  write_palette_png(output_path(arguments, job, ".png"), ids, voc_palette());
  write_png(output_path(arguments, job, "_overlay.png"), overlay(photo, ids));
  const auto write_planes = [&](const char* suffix, const View& planes) {
    std::vector<Picture> pictures = score_planes(planes, photo.size(), model.class_names());
    pictures.insert(pictures.begin(), {{job.stem.filename().string(), photo}, {"argmax", colour_ids(ids)}});
    write_png(output_path(arguments, job, suffix), sheet_of(std::move(pictures)));
  };
  if (arguments.planes) write_planes("_planes.png", executor.view("scores"));
  if (arguments.samples) {
    write_planes("_mean.png", samples.mean_view());
    write_planes("_variance.png", samples.variance_view());
  }
  if (arguments.probabilities) {
    const View p = arguments.samples ? samples.mean_view() : executor.view("probabilities");
    write_npy(output_path(arguments, job, ".npy"), {p.as<float>(), static_cast<size_t>(p.shape.count())},
              {p.shape.h, p.shape.w, p.shape.c});
  }
}

}  // namespace

int predict_command(const PredictArguments& arguments) {
  if (arguments.run.empty() == arguments.weights.empty()) throw UsageError("give --weights FILE or --run DIR");
  if (arguments.inputs.empty()) throw UsageError("give an image, a folder or a list");
  if (arguments.out.empty()) throw UsageError("--out DIR is missing");
  std::vector<Job> jobs;
  for (const std::string& input : arguments.inputs) {
    if (!fs::exists(input)) throw DataError(format("{} is not there", input));
    for (Job& job : jobs_of(input)) jobs.push_back(std::move(job));
  }
  check_outputs(arguments, jobs);
  TrainedModel model(arguments.run.empty() ? arguments.weights : weights_of_run(arguments.run));
  const Keep keep{arguments.planes, arguments.probabilities || arguments.samples > 0, arguments.samples > 0};
  if (keep.dropout) check_dropout(model);
  ExecutorCache executors(model.maker(keep));
  catch_stop_signals();
  Progress progress(static_cast<int64_t>(jobs.size()));
  for (size_t i = 0; i < jobs.size() && !stop_signal(); ++i) {
    predict(arguments, jobs[i], model, executors);
    progress.update(static_cast<int64_t>(i) + 1, jobs[i].photo);
  }
  return stop_signal() ? 128 + stop_signal() : 0;
}

}  // namespace pixelwise
