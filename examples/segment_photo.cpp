// segment_photo WEIGHTS PHOTO MASK: segments a photo, writes the class of every pixel, and prints what was seen.
#include <algorithm>
#include <cstdio>
#include <exception>

#include "pixelwise/app/session.hpp"
#include "pixelwise/data/dataset.hpp"

int main(int argc, char** argv) try {
  if (argc != 4) return std::fputs("usage: segment_photo WEIGHTS PHOTO MASK\n", stderr), 2;
  pixelwise::Session session(argv[1]);

  // Any buffer will do: a pointer to its first pixel, and the bytes from row to row (a camera may pad its rows).
  const pixelwise::Image photo = pixelwise::read_photo(argv[2], session.channels());
  const int64_t row_stride = photo.width * photo.channels;
  const auto labels = session.run(photo.pixels.data(), photo.height, photo.width, row_stride);

  pixelwise::Image mask(photo.height, photo.width, 1);
  std::copy(labels.begin(), labels.end(), mask.pixels.begin());
  pixelwise::write_palette_png(argv[3], mask, pixelwise::voc_palette());
  for (size_t c = 0; c < session.class_names().size(); ++c)
    std::printf("%-12s %7td pixels\n", session.class_names()[c].c_str(),
                std::count(labels.begin(), labels.end(), static_cast<uint8_t>(c)));
  return 0;
} catch (const std::exception& error) {
  return std::fprintf(stderr, "segment_photo: %s\n", error.what()), 1;
}
