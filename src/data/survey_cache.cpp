// A survey kept from one training to the next: reading every mask of a large dataset takes minutes.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/data/survey.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/io/sha256.hpp"

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

using Counts = std::array<int64_t, 256>;

std::string cache_folder() {
  const char* given = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (given && *given) return std::string(given) + "/pixelwise";
  return home && *home ? std::string(home) + "/.cache/pixelwise" : "";
}

// Of everything that the survey depends on. The time is that of the last change: unlike that of modification, it sees
// new permissions, and a file that was given an old date. It steps by milliseconds: path, device and inode tell apart
// what two processes write in one step under the same relative names.
std::string fingerprint(const Dataset& dataset, int64_t classes, int64_t ignore_label, const std::string& view) {
  Sha256 hash;
  hash.add(format("survey 3\n{}\n{} {}\n", view, classes, ignore_label));
  for (int64_t i = 0; i < dataset.size(); ++i) {
    hash.add(dataset.id(i) + "\n");
    for (const std::string& file : dataset.files(i)) {
      struct stat is {};
      hash.add(fs::absolute(file).string() + "\n");
      if (stat(file.c_str(), &is) == 0)
        hash.add(format("{} {} {} {} {}\n", is.st_dev, is.st_ino, is.st_size, is.st_ctim.tv_sec, is.st_ctim.tv_nsec));
    }
  }
  return hash.hex();
}

JsonValue to_json(const Counts& counts) { return JsonValue::Array(counts.begin(), counts.end()); }
JsonValue to_json(Size size) { return JsonValue::Array{size.h, size.w}; }

std::string to_text(const Survey& s, const std::string& key) {
  JsonValue::Array findings;
  for (const Finding& f : s.findings)
    findings.push_back(JsonValue::Object{
        {"kind", static_cast<int64_t>(f.kind)}, {"index", f.index}, {"sample", f.sample}, {"text", f.text}});
  return dump_json(JsonValue::Object{{"fingerprint", key},
                                     {"samples", s.samples},
                                     {"read", s.read},
                                     {"smallest", to_json(s.smallest)},
                                     {"largest", to_json(s.largest)},
                                     {"void_pixels", s.void_pixels},
                                     {"all_pixels", s.all_pixels},
                                     {"pixels", to_json(s.pixels)},
                                     {"around", to_json(s.around)},
                                     {"shown", to_json(s.shown)},
                                     {"findings", findings}});
}

Counts counts_of(const JsonValue& value) {
  Counts counts{};
  if (value.array().size() != counts.size()) throw DataError("not 256 counts");
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = value.array()[i].integer();
  return counts;
}

Size size_of(const JsonValue& value) {
  if (value.array().size() != 2) throw DataError("not a size");
  return {value.array()[0].integer(), value.array()[1].integer()};
}

// Throws DataError where the file is another one, or damaged.
Survey read_survey(const std::string& path, const std::string& key) {
  const JsonValue json = parse_json(read_file(path), path);
  if (json.at("fingerprint").text() != key) throw DataError("of other files");
  Survey s;
  s.samples = json.at("samples").integer();
  s.read = json.at("read").integer();
  s.smallest = size_of(json.at("smallest"));
  s.largest = size_of(json.at("largest"));
  s.void_pixels = json.at("void_pixels").integer();
  s.all_pixels = json.at("all_pixels").integer();
  s.pixels = counts_of(json.at("pixels"));
  s.around = counts_of(json.at("around"));
  s.shown = counts_of(json.at("shown"));
  for (const JsonValue& f : json.at("findings").array()) {
    const int64_t kind = f.at("kind").integer();
    if (kind < 0 || kind > static_cast<int64_t>(Finding::Kind::one_class)) throw DataError("no such kind");
    s.findings.push_back(
        {static_cast<Finding::Kind>(kind), f.at("index").integer(), f.at("sample").text(), f.at("text").text()});
  }
  return s;
}

}  // namespace

Survey cached_survey(const Dataset& dataset, int64_t classes, int64_t ignore_label, const std::string& view,
                     const std::function<void(int64_t)>& done) {
  const std::string folder = cache_folder();
  if (folder.empty()) return survey(dataset, classes, ignore_label, done);
  const std::string key = fingerprint(dataset, classes, ignore_label, view);
  const std::string path = format("{}/survey-{:.16}.json", folder, key);
  try {
    return read_survey(path, key);
  } catch (const DataError&) {  // there is none yet, or it is of no use
  }
  Survey result = survey(dataset, classes, ignore_label, done);
  std::error_code failed;
  fs::create_directories(folder, failed);
  try {
    write_file(path, to_text(result, key));
  } catch (const ResourceError&) {  // the next training looks again
  }
  return result;
}

}  // namespace pixelwise
