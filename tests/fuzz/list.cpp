// A list of samples, read as one of "image mask" pairs and as one of the VOC devkit; the files that it names are read.
#include <algorithm>
#include <filesystem>

#include "fuzz/fuzz.hpp"
#include "pixelwise/data/dataset.hpp"
#include "support/scratch.hpp"

using namespace pixelwise;
namespace fs = std::filesystem;

namespace {

// Two samples and a broken one, laid out as the devkit; val.txt is the input.
struct Folder {
  ScratchFolder scratch;
  FileInMemory list;
  DataOptions options;

  Folder() {
    options.root = scratch.root();
    options.image_dir = "i", options.mask_dir = "m", options.list_dir = ".";
    for (const char* folder : {"i", "m"}) fs::create_directory(scratch.path(folder));
    for (const char* name : {"a", "b", "c"}) {
      write_jpeg(scratch.path(format("i/{}.jpg", name)), Image(4, 6, 3, 90));
      write_palette_png(scratch.path(format("m/{}.png", name)), Image(4, *name == 'c' ? 5 : 6, 1, 1), voc_palette());
    }
    fs::create_symlink(list.path(), scratch.path("val.txt"));
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Folder folder;
  folder.list.put({reinterpret_cast<const char*>(data), size});
  for (const char* format : {"list", "voc"}) {
    folder.options.format = format;
    accepted([&] {
      const auto samples = centre_crops(open_dataset(folder.options, "val", 2, 3, 1), {3, 3});
      require(samples->size() > 0, "a list that is accepted has samples");
      for (int64_t i = 0; i < std::min<int64_t>(samples->size(), 4); ++i)
        require(samples->read(i).photo.size() == samples->read(i).mask.size(), "a photo is as large as its mask");
    });
  }
  return 0;
}
