// safetensors: round trips, every rule of the format, and files damaged in every way a disk can think of.
#include "pixelwise/io/safetensors.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "pixelwise/core/error.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

template <class T>
TensorToWrite tensor(const std::string& name, FileType type, std::vector<int64_t> shape, std::vector<T> values) {
  return {name, type, std::move(shape), [values](const Sink& sink) {
            for (const T& value : values) sink(std::as_bytes(std::span(&value, 1)));  // in small pieces
          }};
}

void write_example(const std::string& path) {
  write_safetensors(
      path,
      {tensor<float>("conv.weight", FileType::f32, {2, 1, 1, 3}, {1, -2, 3.5f, 0, 1e-30f, 6}),
       tensor<double>("bn.mean", FileType::f64, {2}, {0.1, -1e300}),
       tensor<int64_t>("bn.num_batches_tracked", FileType::i64, {}, {1234567890123}),
       tensor<uint16_t>("half", FileType::f16, {4}, {0x3c00, 0xc500, 0x0001, 0x7c00}),
       tensor<uint16_t>("brain", FileType::bf16, {2}, {0x3f80, 0xc0a0}),
       tensor<int32_t>("count", FileType::i32, {1}, {-7}), tensor<uint8_t>("ids", FileType::u8, {3}, {0, 128, 255}),
       tensor<float>("empty", FileType::f32, {0, 4}, {})},
      {{"format", "pt"}, {"step", "12"}});
}

// Quicker than write_file, which waits for the disk.
void put(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// A file with this header (its length is put before it) and this many zero bytes of data.
std::string file_of(std::string header, size_t data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data, '\0');
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.safetensors");
  write_example(path);
  const SafetensorsFile file(path);
  EXPECT_EQ(file.path(), path);
  auto metadata = file.metadata();
  EXPECT_EQ(metadata.erase("pixelwise.checksum"), 1u);
  EXPECT_EQ(metadata, (std::map<std::string, std::string>{{"format", "pt"}, {"step", "12"}}));
  EXPECT_NO_THROW(file.verify());
  std::string names;
  for (const TensorInfo& info : file.tensors()) names += info.name + " ";
  EXPECT_EQ(names, "bn.mean bn.num_batches_tracked brain conv.weight count empty half ids ");
  EXPECT_EQ(file.find("missing"), nullptr);

  const TensorInfo& weight = *file.find("conv.weight");
  EXPECT_EQ(weight.shape, (std::vector<int64_t>{2, 1, 1, 3}));
  EXPECT_EQ(file.read_f32(weight), (std::vector<float>{1, -2, 3.5f, 0, 1e-30f, 6}));
  EXPECT_EQ(file.read_bytes(weight).size(), 24u);
  double part[2];
  file.read(weight, 1, 2, part);
  EXPECT_EQ(part[0], -2);
  EXPECT_EQ(part[1], 3.5);
  EXPECT_THROW(file.read(weight, 5, 2, part), std::logic_error);
  EXPECT_EQ(file.read_f64(*file.find("bn.mean")), (std::vector<double>{0.1, -1e300}));
  EXPECT_EQ(file.read_f64(*file.find("bn.num_batches_tracked")), (std::vector<double>{1234567890123}));
  EXPECT_EQ(file.read_f32(*file.find("half")), (std::vector<float>{1, -5, std::ldexp(1.0f, -24), INFINITY}));
  EXPECT_EQ(file.read_f32(*file.find("brain")), (std::vector<float>{1, -5}));
  EXPECT_EQ(file.read_f64(*file.find("count")), (std::vector<double>{-7}));
  EXPECT_EQ(file.read_f64(*file.find("ids")), (std::vector<double>{0, 128, 255}));
  EXPECT_TRUE(file.read_f32(*file.find("empty")).empty());
}

TEST(Safetensors, TheHeaderIsPaddedSoThatDataAreAligned) {
  const ScratchFolder scratch;
  for (const char* name : {"a", "ab", "abc", "abcd", "abcdefgh"}) {
    const std::string path = scratch.path("a.safetensors");
    write_safetensors(path, {tensor<float>(name, FileType::f32, {1}, {1})}, {});
    const std::string bytes = read_file(path);
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    EXPECT_EQ(length % 8, 0u);
    EXPECT_EQ(bytes.size(), 8 + length + 4);
    EXPECT_EQ(bytes[8], '{');
  }
}

TEST(Safetensors, AWriterThatSendsTooLittleLeavesNoFile) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.safetensors");
  EXPECT_THROW(write_safetensors(path, {tensor<float>("x", FileType::f32, {2}, {1})}, {}), std::logic_error);
  EXPECT_THROW(read_file(path), DataError);
}

TEST(Safetensors, HeadersThatBreakARuleAreRefusedByName) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("bad.safetensors");
  const struct {
    const char* header;
    size_t data;
    const char* reason;
  } cases[] = {
      {"[]", 0, "not an object"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 3, "truncated"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "the data at 5"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "a hole"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "wants 8"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "overlap"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "duplicate key 'x'"},
      {R"({"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "safetensors"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[-9223372036854775808,9223372036854775807]}})", 4, "'x'"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", 8, "'x'"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775808]}})", 4, "whole number"},
      {R"({"x":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}})", 4, "truncated"},
      {R"({"x":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]},)"
       R"("y":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775807,9223372036854775808]}})",
       4, "whole number"},
      {R"({"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0, "safetensors"},
      {R"({"x":{"dtype":"F32","shape":[2305843009213693952],"data_offsets":[0,8]}})", 8, "safetensors"},
      {R"({"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}})", 6, "whole number"},
      {R"({"x":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", 1, "F8_E4M3"},
      {R"({"x":{"dtype":"F32","data_offsets":[0,4]}})", 4, "no key 'shape'"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 8, "3 offsets"},
      {R"({"x":3})", 0, "dtype"},
      {R"({"__metadata__":{"a":1}})", 0, "a string"},
      {R"({"__metadata__":[]})", 0, "__metadata__"},
      {"{", 0, "JSON"},
  };
  for (const auto& c : cases) {
    put(path, file_of(c.header, c.data));
    try {
      const SafetensorsFile file(path);
      ADD_FAILURE() << c.header << " was accepted";
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(c.reason), std::string::npos) << c.reason << ": " << error.what();
    }
  }
  put(path, file_of(R"({"x":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", 2));
  EXPECT_EQ(SafetensorsFile(path).read_f64(*SafetensorsFile(path).find("x")), (std::vector<double>{0, 0}));
}

TEST(Safetensors, ClaimsOfHugeHeadersAreNotAllocated) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("bad.safetensors");
  for (const uint64_t claim :
       {uint64_t{3}, uint64_t{100'000'001}, uint64_t{1} << 40, uint64_t{1} << 63, ~uint64_t{0}}) {
    std::string bytes(10, '{');
    std::memcpy(bytes.data(), &claim, 8);
    put(path, bytes);
    EXPECT_THROW(SafetensorsFile{path}, DataError) << claim;
  }
  EXPECT_THROW(SafetensorsFile{scratch.path("missing")}, DataError);
  EXPECT_THROW(SafetensorsFile{scratch.root()}, DataError);
}

TEST(Safetensors, TruncatedAnywhereIsRefused) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.safetensors"), cut = scratch.path("cut.safetensors");
  write_example(path);
  const std::string bytes = read_file(path);
  for (size_t length = 0; length < bytes.size(); ++length) {
    put(cut, bytes.substr(0, length));
    EXPECT_THROW(SafetensorsFile{cut}, DataError) << length;
  }
}

std::vector<std::vector<double>> values_of(const SafetensorsFile& file) {
  std::vector<std::vector<double>> values;
  for (const TensorInfo& tensor : file.tensors()) values.push_back(file.read_f64(tensor));
  return values;
}

bool same_tensors(const SafetensorsFile& a, const SafetensorsFile& b) {
  const auto same = [](const TensorInfo& x, const TensorInfo& y) {
    return x.name == y.name && x.type == y.type && x.shape == y.shape;
  };
  return std::equal(a.tensors().begin(), a.tensors().end(), b.tensors().begin(), b.tensors().end(), same) &&
         values_of(a) == values_of(b);
}

// Every bit of a small file, and every byte at once: a change is refused by name, or the tensors are the same (where
// the name of the checksum was hit).
TEST(Safetensors, ChangedAnywhereIsRefusedOrDoesNoHarm) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.safetensors"), changed = scratch.path("changed.safetensors");
  write_safetensors(path,
                    {tensor<float>("w", FileType::f32, {2}, {1, 2}), tensor<uint8_t>("i", FileType::u8, {}, {3}),
                     tensor<float>("v", FileType::f32, {2}, {3, 4})},
                    {{"k", "v"}});
  const SafetensorsFile whole(path);
  const std::string bytes = read_file(path);
  int64_t refused = 0, harmless = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int mask : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string copy = bytes;
      copy[i] = static_cast<char>(copy[i] ^ mask);
      put(changed, copy);
      try {
        const SafetensorsFile file(changed);
        file.verify();
        EXPECT_TRUE(same_tensors(file, whole)) << "byte " << i << ", mask " << mask;
        ++harmless;
      } catch (const DataError& error) {
        EXPECT_NE(std::string(error.what()).find(changed), std::string::npos);
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 10 * harmless);
}

// A file of another program has no checksum: a changed header then changes a name, a type, a shape, but never memory.
TEST(Safetensors, ChangedHeadersWithoutAChecksumDoNotReadBeyondTheFile) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.safetensors");
  const std::string bytes = file_of(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                    R"("i":{"dtype":"U8","shape":[],"data_offsets":[8,9]}})",
                                    9);
  put(path, bytes);
  EXPECT_NO_THROW(SafetensorsFile(path).verify());
  for (size_t i = 0; i < bytes.size() - 9; ++i) {
    for (const int mask : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ mask);
      put(path, changed);
      try {
        const SafetensorsFile file(path);
        for (const TensorInfo& info : file.tensors()) {
          EXPECT_LE(info.begin + info.bytes, static_cast<int64_t>(bytes.size()));
          EXPECT_EQ(static_cast<int64_t>(file.read_f64(info).size()), info.count());
        }
      } catch (const DataError& error) {
        EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
      }
    }
  }
}

TEST(Safetensors, AChecksumOfWhatWasReadIsNotKept) {
  const ScratchFolder scratch;
  const std::string path = scratch.path("a.safetensors");
  write_example(path);
  const auto metadata = SafetensorsFile(path).metadata();
  write_safetensors(path, {tensor<float>("w", FileType::f32, {2}, {1, 2})}, metadata);
  EXPECT_NO_THROW(SafetensorsFile(path).verify());
}

}  // namespace
}  // namespace pixelwise
