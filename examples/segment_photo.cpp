// segment_photo WEIGHTS: segments a picture that lies in memory, and prints how many pixels each class got.
#include <cstdio>
#include <vector>

#include "pixelwise/app/session.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return std::fputs("usage: segment_photo WEIGHTS\n", stderr), 2;
  pixelwise::Session session(argv[1]);

  const int height = 120, width = 160, row_stride = 512;  // bytes from row to row: here more than the pixels need
  std::vector<unsigned char> pixels(height * row_stride, 128);
  const auto labels = session.run(pixels.data(), height, width, row_stride);

  std::vector<int> count(session.class_names().size());
  for (const unsigned char label : labels) ++count[label];
  for (size_t c = 0; c < count.size(); ++c) std::printf("%-12s %d\n", session.class_names()[c].c_str(), count[c]);
  return 0;
}
