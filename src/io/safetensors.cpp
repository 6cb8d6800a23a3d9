#include "pixelwise/io/safetensors.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "core/format.hpp"
#include "pixelwise/core/checked.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/json.hpp"

namespace pixelwise {
namespace {

constexpr int64_t longest_header = 100'000'000;  // of the format

struct TypeName {
  const char* name;
  FileType type;
  int64_t bytes;
};
constexpr TypeName type_names[] = {{"F64", FileType::f64, 8},   {"F32", FileType::f32, 4}, {"F16", FileType::f16, 2},
                                   {"BF16", FileType::bf16, 2}, {"I64", FileType::i64, 8}, {"I32", FileType::i32, 4},
                                   {"U8", FileType::u8, 1},     {"BOOL", FileType::u8, 1}};

const TypeName& entry_of(FileType type) {
  return *std::find_if(std::begin(type_names), std::end(type_names), [&](const TypeName& t) { return t.type == type; });
}

// IEEE 754 binary16.
float half_to_float(uint16_t h) {
  const int exponent = (h >> 10) & 31, fraction = h & 1023;
  const float sign = h & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction ? std::nanf("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

template <class T>
T element(const std::byte* bytes, int64_t i) {
  T value;
  std::memcpy(&value, bytes + i * static_cast<int64_t>(sizeof(T)), sizeof value);
  return value;
}

template <class To>
To convert(FileType type, const std::byte* bytes, int64_t i) {
  switch (type) {
    case FileType::f64:
      return static_cast<To>(element<double>(bytes, i));
    case FileType::f32:
      return static_cast<To>(element<float>(bytes, i));
    case FileType::f16:
      return static_cast<To>(half_to_float(element<uint16_t>(bytes, i)));
    case FileType::bf16:
      return static_cast<To>(to_float(bf16{element<uint16_t>(bytes, i)}));
    case FileType::i64:
      return static_cast<To>(element<int64_t>(bytes, i));
    case FileType::i32:
      return static_cast<To>(element<int32_t>(bytes, i));
    case FileType::u8:
      return static_cast<To>(element<uint8_t>(bytes, i));
  }
  return To{};
}

constexpr const char* checksum_key = "pixelwise.checksum";

// FNV-1a, 64 bits (Fowler, Noll, Vo): it finds damage, it does not keep out an enemy.
class Checksum {
 public:
  explicit Checksum(const std::map<std::string, std::string>& metadata) {
    for (const auto& [key, value] : metadata) {
      if (key != checksum_key) add(key), add(value);
    }
  }
  void begin_tensor(const std::string& name, FileType type, const std::vector<int64_t>& shape) {
    add(name), add(entry_of(type).name), add(std::as_bytes(std::span(shape)));
  }
  void add(const std::string& text) { add(std::as_bytes(std::span(text.c_str(), text.size() + 1))); }
  void add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) hash_ = (hash_ ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  }
  std::string text() const { return format("{:016x}", hash_); }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace

int64_t TensorInfo::count() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count = checked_mul(count, extent);
  return count;
}

struct SafetensorsFile::Impl {
  std::string path;
  int fd = -1;
  int64_t data = 0;  // where the data section begins
  std::map<std::string, std::string> metadata;
  std::vector<TensorInfo> tensors;

  ~Impl() {
    if (fd >= 0) close(fd);
  }

  [[noreturn]] void reject(const std::string& what) const {
    throw DataError(format("{}: not a safetensors file: {}", path, what));
  }

  void read_at(int64_t offset, std::byte* to, int64_t count) const {
    while (count > 0) {
      const ssize_t got = pread(fd, to, static_cast<size_t>(count), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0)
        throw DataError(
            format("{}: cannot read at byte {}: {}", path, offset, got < 0 ? std::strerror(errno) : "the file ends"));
      to += got, offset += got, count -= got;
    }
  }

  void read_header() {
    fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw DataError(format("cannot read {}: {}", path, std::strerror(errno)));
    struct stat info {};
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) throw DataError(format("cannot read {}: not a file", path));
    if (info.st_size < 8) reject(format("it has {} bytes, wanted at least 8", info.st_size));
    std::byte raw[8];
    read_at(0, raw, 8);
    const auto length = element<uint64_t>(raw, 0);
    if (length > static_cast<uint64_t>(std::min<int64_t>(longest_header, info.st_size - 8)))
      reject(format("its header claims {} bytes; the file has {}", length, info.st_size));
    std::string text(length, '\0');
    read_at(8, reinterpret_cast<std::byte*>(text.data()), static_cast<int64_t>(length));
    data = 8 + static_cast<int64_t>(length);
    try {
      const JsonValue header = parse_json(text, path);
      const auto* entries = std::get_if<JsonValue::Object>(&header.value);
      if (!entries) reject("its header is not an object");
      for (const auto& [name, entry] : *entries) {
        if (name == "__metadata__") {
          read_metadata(entry);
        } else {
          tensors.push_back(read_entry(name, entry));
        }
      }
    } catch (const DataError& error) {
      const std::string message = error.what();
      if (message.starts_with(path)) throw;
      reject(message);
    }
    check_layout(info.st_size - data);
  }

  void read_metadata(const JsonValue& entry) {
    const auto* object = std::get_if<JsonValue::Object>(&entry.value);
    if (!object) reject("__metadata__ is not an object");
    for (const auto& [key, value] : *object) metadata[key] = value.text();
  }

  TensorInfo read_entry(const std::string& name, const JsonValue& entry) const {
    TensorInfo tensor;
    tensor.name = name;
    const std::string& type = entry.at("dtype").text();
    const auto* known =
        std::find_if(std::begin(type_names), std::end(type_names), [&](const TypeName& t) { return type == t.name; });
    if (known == std::end(type_names))
      reject(format("tensor '{}' has type {}; known are F64, F32, F16, BF16, I64, I32, U8, BOOL", name, type));
    tensor.type = known->type;
    for (const JsonValue& extent : entry.at("shape").array()) tensor.shape.push_back(extent.integer());
    if (tensor.shape.size() > 8) reject(format("tensor '{}' has {} dimensions", name, tensor.shape.size()));
    const JsonValue::Array& offsets = entry.at("data_offsets").array();
    if (offsets.size() != 2) reject(format("tensor '{}' has {} offsets, wanted 2", name, offsets.size()));
    tensor.begin = offsets[0].integer();
    const int64_t end = offsets[1].integer();
    if (tensor.begin < 0 || end < tensor.begin)
      reject(format("tensor '{}' has offsets from {} to {}", name, tensor.begin, end));
    tensor.bytes = end - tensor.begin;
    const int64_t wanted = checked_mul(tensor.count(), known->bytes);
    if (tensor.bytes != wanted)
      reject(format("tensor '{}' has {} bytes at {}; its shape wants {}", name, tensor.bytes, tensor.begin, wanted));
    return tensor;
  }

  // Contiguous from 0, no holes, no overlaps, ending exactly at the end of the file.
  void check_layout(int64_t bytes) {
    std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
      return std::pair(a.begin, a.bytes) < std::pair(b.begin, b.bytes);
    });
    int64_t end = 0;
    for (const TensorInfo& tensor : tensors) {
      if (tensor.begin != end)
        reject(format("tensor '{}' begins at {}, wanted {}: a hole or an overlap", tensor.name, tensor.begin, end));
      end = checked_add(end, tensor.bytes);
      if (end > bytes)
        reject(format("tensor '{}' ends at {}, behind the end of the data at {}: truncated?", tensor.name, end, bytes));
    }
    if (end != bytes) reject(format("the tensors end at {}, the data at {}", end, bytes));
    std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  }

  // Of the metadata, and of name, type, shape and bytes of each tensor in the order of names.
  std::string checksum() const {
    Checksum checksum(metadata);
    std::vector<std::byte> piece(1 << 16);
    for (const TensorInfo& tensor : tensors) {
      checksum.begin_tensor(tensor.name, tensor.type, tensor.shape);
      for (int64_t done = 0; done < tensor.bytes; done += std::ssize(piece)) {
        const int64_t now = std::min<int64_t>(std::ssize(piece), tensor.bytes - done);
        read_at(data + tensor.begin + done, piece.data(), now);
        checksum.add(std::span(piece).first(static_cast<size_t>(now)));
      }
    }
    return checksum.text();
  }

  template <class To>
  void read_part(const TensorInfo& tensor, int64_t first, int64_t count, To* out) const {
    if (first < 0 || count < 0 || first + count > tensor.count())
      throw std::logic_error(
          format("tensor '{}': elements {} to {} of {}", tensor.name, first, first + count, tensor.count()));
    const int64_t piece = 1 << 14, size = entry_of(tensor.type).bytes;
    std::vector<std::byte> raw(static_cast<size_t>(std::min(piece, count) * size));
    for (int64_t done = 0; done < count; done += piece) {
      const int64_t now = std::min(piece, count - done);
      read_at(data + tensor.begin + (first + done) * size, raw.data(), now * size);
      for (int64_t i = 0; i < now; ++i) out[done + i] = convert<To>(tensor.type, raw.data(), i);
    }
  }

  template <class To>
  std::vector<To> read_as(const TensorInfo& tensor) const {
    std::vector<To> values(static_cast<size_t>(tensor.count()));
    read_part(tensor, 0, tensor.count(), values.data());
    return values;
  }
};

SafetensorsFile::SafetensorsFile(const std::string& path) : impl_(std::make_unique<Impl>()) {
  static_assert(std::endian::native == std::endian::little);
  impl_->path = path;
  impl_->read_header();
}
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;

const std::string& SafetensorsFile::path() const { return impl_->path; }
const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return impl_->metadata; }
const std::vector<TensorInfo>& SafetensorsFile::tensors() const { return impl_->tensors; }

const TensorInfo* SafetensorsFile::find(const std::string& name) const {
  const auto found = std::lower_bound(impl_->tensors.begin(), impl_->tensors.end(), name,
                                      [](const TensorInfo& tensor, const std::string& n) { return tensor.name < n; });
  return found != impl_->tensors.end() && found->name == name ? &*found : nullptr;
}

void SafetensorsFile::verify() const {
  const auto stored = metadata().find(checksum_key);
  if (stored == metadata().end()) return;
  const std::string found = impl_->checksum();
  if (found != stored->second)
    throw DataError(
        format("{}: damaged: its checksum is {}; wanted {}. Use another file (or, where a program changed it on "
               "purpose, remove '{}' from its metadata)",
               path(), found, stored->second, checksum_key));
}

std::vector<float> SafetensorsFile::read_f32(const TensorInfo& tensor) const { return impl_->read_as<float>(tensor); }
std::vector<double> SafetensorsFile::read_f64(const TensorInfo& tensor) const { return impl_->read_as<double>(tensor); }
void SafetensorsFile::read(const TensorInfo& tensor, int64_t first, int64_t count, float* out) const {
  impl_->read_part(tensor, first, count, out);
}
void SafetensorsFile::read(const TensorInfo& tensor, int64_t first, int64_t count, double* out) const {
  impl_->read_part(tensor, first, count, out);
}
std::vector<std::byte> SafetensorsFile::read_bytes(const TensorInfo& tensor) const {
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.bytes));
  impl_->read_at(impl_->data + tensor.begin, bytes.data(), tensor.bytes);
  return bytes;
}

void write_safetensors(const std::string& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorToWrite& a, const TensorToWrite& b) { return a.name < b.name; });
  Checksum checksum(metadata);
  for (const TensorToWrite& tensor : tensors) {
    checksum.begin_tensor(tensor.name, tensor.type, tensor.shape);
    tensor.write([&](std::span<const std::byte> bytes) { checksum.add(bytes); });
  }
  JsonValue::Object header, info;
  for (const auto& [key, value] : metadata) {
    if (key != checksum_key) info.emplace_back(key, value);
  }
  info.emplace_back(checksum_key, checksum.text());
  header.emplace_back("__metadata__", info);
  int64_t end = 0;
  std::vector<int64_t> sizes;
  for (const TensorToWrite& tensor : tensors) {
    JsonValue::Array shape;
    int64_t bytes = entry_of(tensor.type).bytes;
    for (const int64_t extent : tensor.shape) {
      shape.emplace_back(extent);
      bytes = checked_mul(bytes, extent);
    }
    sizes.push_back(bytes);
    header.emplace_back(tensor.name, JsonValue::Object{{"dtype", entry_of(tensor.type).name},
                                                       {"shape", shape},
                                                       {"data_offsets", JsonValue::Array{end, end + bytes}}});
    end += bytes;
  }
  std::string text = dump_json(header);
  text.resize(static_cast<size_t>(round_up(static_cast<int64_t>(text.size()), 8)), ' ');
  const auto send = [&](const Sink& sink) {
    const uint64_t length = text.size();
    sink(std::as_bytes(std::span(&length, 1)));
    sink(std::as_bytes(std::span(text)));
    for (size_t i = 0; i < tensors.size(); ++i) {
      int64_t sent = 0;
      tensors[i].write([&](std::span<const std::byte> bytes) {
        sent += static_cast<int64_t>(bytes.size());
        sink(bytes);
      });
      if (sent != sizes[i])
        throw std::logic_error(format("tensor '{}' sent {} of {} bytes", tensors[i].name, sent, sizes[i]));
    }
  };
  write_file(path, send, 8 + static_cast<int64_t>(text.size()) + end);
}

}  // namespace pixelwise
