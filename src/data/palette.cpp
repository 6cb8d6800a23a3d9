#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/data/dataset.hpp"

namespace pixelwise {

std::vector<std::string> preset_class_names(const std::string& preset) {
  if (preset == "voc")
    return {"background", "aeroplane", "bicycle",     "bird",  "boat",        "bottle", "bus",
            "car",        "cat",       "chair",       "cow",   "diningtable", "dog",    "horse",
            "motorbike",  "person",    "pottedplant", "sheep", "sofa",        "train",  "tvmonitor"};
  if (preset == "camvid")
    return {"sky",         "building", "pole", "road",       "pavement", "tree",
            "sign_symbol", "fence",    "car",  "pedestrian", "bicyclist"};
  if (preset == "shapes") return {"background", "disc", "square", "triangle", "ring", "cross", "flower"};
  throw UsageError(
      format("key 'data.class_names': given \"{}\", wanted voc, camvid, shapes, or a list of names", preset));
}

// Bit 3k + channel of the id becomes bit 7 - k of that channel's value.
std::vector<Colour> voc_palette() {
  std::vector<Colour> palette(256);
  for (int id = 0; id < 256; ++id) {
    for (int bit = 0; bit < 8; ++bit) {
      const int channel = bit % 3, value = (id >> bit & 1) << (7 - bit / 3);
      palette[static_cast<size_t>(id)][static_cast<size_t>(channel)] |= static_cast<uint8_t>(value);
    }
  }
  return palette;
}

}  // namespace pixelwise
