// Datasets whose photos and masks are files.
#include <filesystem>
#include <sstream>

#include "core/format.hpp"
#include "data/readers.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

struct Pair {
  std::string id, photo, mask;
};

void check(const Pair& pair, const Sample& sample, const SampleFormat& wanted) {
  const Image& mask = sample.mask;
  if (mask.size() != sample.photo.size())
    throw DataError(format("{}: the mask is {}, its photo {} is {}; wanted the same size", pair.mask,
                           to_string(mask.size()), pair.photo, to_string(sample.photo.size())));
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    const int64_t id = mask.pixels[i];
    if (id < wanted.classes || id == wanted.ignore_label) continue;
    throw DataError(format("{}: id {} at pixel (row {}, column {}); wanted 0 to {}, or {} for void", pair.mask, id,
                           static_cast<int64_t>(i) / mask.width, static_cast<int64_t>(i) % mask.width,
                           wanted.classes - 1, wanted.ignore_label));
  }
}

class FileDataset : public Dataset {
 public:
  FileDataset(std::vector<Pair> pairs, const SampleFormat& samples) : pairs_(std::move(pairs)), format_(samples) {}
  int64_t size() const override { return static_cast<int64_t>(pairs_.size()); }
  std::string id(int64_t index) const override { return at(index).id; }
  std::string photo_path(int64_t index) const override { return at(index).photo; }
  Sample read(int64_t index) const override {
    const Pair& pair = at(index);
    Sample sample{pair.id, read_photo(pair.photo, format_.channels), read_mask(pair.mask)};
    check(pair, sample, format_);
    return sample;
  }

 private:
  const Pair& at(int64_t index) const { return pairs_.at(static_cast<size_t>(index)); }

  std::vector<Pair> pairs_;
  SampleFormat format_;
};

// The words of every line of a text file that is not empty.
std::vector<std::vector<std::string>> read_lines(const fs::path& path) {
  std::vector<std::vector<std::string>> lines;
  std::istringstream text(read_file(path.string(), int64_t{64} << 20));
  for (std::string line; std::getline(text, line);) {
    std::istringstream words(line);  // spaces, tabs and carriage returns part them
    std::vector<std::string> list;
    for (std::string word; words >> word;) list.push_back(word);
    if (!list.empty()) lines.push_back(list);
  }
  if (lines.empty()) throw DataError(format("{}: the list is empty; wanted one sample a line", path.string()));
  return lines;
}

void require_folder(const fs::path& folder, const char* key, const char* hint) {
  if (!fs::is_directory(folder)) throw DataError(format("{}: no such folder ({}); {}", folder.string(), key, hint));
}

}  // namespace

std::unique_ptr<Dataset> open_voc(const DataOptions& options, const std::string& list, const SampleFormat& samples) {
  const fs::path root = options.root;
  require_folder(root, "data.root", "give the folder VOCdevkit with --data-root, or fetch it with data/get_voc.sh");
  const fs::path year = fs::is_directory(root / "VOC2012") ? root / "VOC2012" : root;
  require_folder(year / options.image_dir, "data.image_dir", "wanted the devkit's layout: JPEGImages");
  require_folder(year / options.mask_dir, "data.mask_dir", "wanted the devkit's layout: SegmentationClass");
  std::vector<Pair> pairs;
  for (const auto& words : read_lines(year / options.list_dir / (list + ".txt"))) {
    const std::string& id = words[0];
    pairs.push_back(
        {id, (year / options.image_dir / (id + ".jpg")).string(), (year / options.mask_dir / (id + ".png")).string()});
  }
  return std::make_unique<FileDataset>(std::move(pairs), samples);
}

std::unique_ptr<Dataset> open_list(const DataOptions& options, const std::string& list, const SampleFormat& samples) {
  const fs::path root = options.root;
  require_folder(root, "data.root", "give the folder that the list's paths start from with --data-root");
  fs::path path = root / list;
  if (!fs::exists(path)) path += ".txt";
  std::vector<Pair> pairs;
  for (const auto& words : read_lines(path)) {
    if (words.size() != 2)
      throw DataError(format("{}: line '{} ...' has {} words; wanted two: the paths of an image and of its mask",
                             path.string(), words[0], words.size()));
    pairs.push_back({words[0], (root / words[0]).string(), (root / words[1]).string()});
  }
  return std::make_unique<FileDataset>(std::move(pairs), samples);
}

}  // namespace pixelwise
