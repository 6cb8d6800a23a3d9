// Datasets whose photos and masks are files.
#include <filesystem>
#include <map>
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
  std::vector<std::string> files(int64_t index) const override { return {at(index).photo, at(index).mask}; }
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

struct Line {
  int64_t number = 0;  // from 1
  std::vector<std::string> words;
};

// The lines of a text file that are not empty.
std::vector<Line> read_lines(const fs::path& path) {
  std::vector<Line> lines;
  std::istringstream text(read_file(path.string(), int64_t{64} << 20));
  int64_t number = 0;
  for (std::string content; std::getline(text, content);) {
    Line line{++number, {}};
    std::istringstream words(content);  // spaces, tabs and carriage returns part them
    for (std::string word; words >> word;) line.words.push_back(word);
    if (!line.words.empty()) lines.push_back(line);
  }
  if (lines.empty()) throw DataError(format("{}: the list is empty; wanted one sample a line", path.string()));
  return lines;
}

void require_folder(const fs::path& folder, const char* key, const char* hint) {
  if (!fs::is_directory(folder)) throw DataError(format("{}: no such folder ({}); {}", folder.string(), key, hint));
}

// The samples of a list, checked before the first is read: a training must not end at a typing error after an hour.
class Pairs {
 public:
  Pairs(std::string list, bool missing_files) : list_(std::move(list)), missing_files_(missing_files) {}
  void add(const Line& line, const fs::path& photo, const fs::path& mask) {
    const std::string& id = line.words[0];
    const auto [first, is_new] = lines_.emplace(id, line.number);
    if (!is_new)
      throw DataError(format("{}, line {}: '{}' stands in line {} already; remove one of them", list_, line.number, id,
                             first->second));
    for (const fs::path& file : {photo, mask}) {
      std::error_code name_too_long_or_no_access;
      const fs::file_status status = fs::status(file, name_too_long_or_no_access);
      if (!fs::is_regular_file(status) && (fs::exists(status) || !missing_files_))
        throw DataError(format("{}, line {}: '{}' wants {}, which is not there; fetch it or remove the line", list_,
                               line.number, id, file.string()));
    }
    pairs_.push_back({id, photo.string(), mask.string()});
  }
  std::vector<Pair> take() { return std::move(pairs_); }

 private:
  std::string list_;
  bool missing_files_;
  std::map<std::string, int64_t> lines_;  // by id
  std::vector<Pair> pairs_;
};

}  // namespace

std::unique_ptr<Dataset> open_voc(const DataOptions& options, const std::string& list, const SampleFormat& samples) {
  const fs::path root = options.root;
  require_folder(root, "data.root", "give the folder VOCdevkit with --data-root, or fetch it with data/get_voc.sh");
  const fs::path year = fs::is_directory(root / "VOC2012") ? root / "VOC2012" : root;
  require_folder(year / options.image_dir, "data.image_dir", "wanted the devkit's layout: JPEGImages");
  require_folder(year / options.mask_dir, "data.mask_dir", "wanted the devkit's layout: SegmentationClass");
  const fs::path path = year / options.list_dir / (list + ".txt");
  Pairs pairs(path.string(), samples.missing_files);
  for (const Line& line : read_lines(path)) {
    const std::string& id = line.words[0];
    pairs.add(line, year / options.image_dir / (id + ".jpg"), year / options.mask_dir / (id + ".png"));
  }
  return std::make_unique<FileDataset>(pairs.take(), samples);
}

std::unique_ptr<Dataset> open_list(const DataOptions& options, const std::string& list, const SampleFormat& samples) {
  const fs::path root = options.root;
  require_folder(root, "data.root", "give the folder that the list's paths start from with --data-root");
  fs::path path = root / list;
  if (!fs::exists(path)) path += ".txt";
  Pairs pairs(path.string(), samples.missing_files);
  for (const Line& line : read_lines(path)) {
    if (line.words.size() != 2)
      throw DataError(format("{}, line {}: '{} ...' has {} words; wanted two: the paths of an image and of its mask",
                             path.string(), line.number, line.words[0], line.words.size()));
    pairs.add(line, root / line.words[0], root / line.words[1]);
  }
  return std::make_unique<FileDataset>(pairs.take(), samples);
}

}  // namespace pixelwise
