// fuzz_seeds FOLDER: writes FOLDER/TARGET/*, the inputs that each target starts from, and FOLDER/TARGET.dict, words
// that libFuzzer puts into them. All small; nothing of it is kept in the repository.
#include <filesystem>
#include <fstream>
#include <set>

#include "core/format.hpp"
#include "pixelwise/app/experiment.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/io/safetensors.hpp"
#include "pixelwise/models/registry.hpp"
#include "pixelwise/train/checkpoint.hpp"
#include "pixelwise/train/weights.hpp"
#include "support/png.hpp"
#include "train/toy.hpp"
#ifdef PIXELWISE_TURBOJPEG
#include <turbojpeg.h>
#endif

namespace pixelwise {
namespace {

namespace fs = std::filesystem;

class Seeds {
 public:
  Seeds(const fs::path& root, const std::string& target)
      : folder_(root / target), dictionary_(root / (target + ".dict")) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void put(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
  }
  /// As libFuzzer wants it: a word in quotes a line, other bytes than letters as \xAB.
  void words(const std::set<std::string>& words) const {
    std::ofstream file(dictionary_);
    for (const std::string& word : words) {
      file << '"';
      for (const char c : word)
        file << (std::isalnum(static_cast<unsigned char>(c)) ? std::string(1, c)
                                                             : format("\\x{:02x}", static_cast<uint8_t>(c)));
      file << "\"\n";
    }
  }

 private:
  fs::path folder_, dictionary_;
};

Image ramp(int64_t height, int64_t width, int64_t channels) {
  Image image(height, width, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(7 * i);
  return image;
}

// Every key, and every string that a key may have.
void add_words(const Fields& fields, std::set<std::string>& words) {
  for (const Field& field : fields) {
    words.insert(format("\"{}\":", field.key));
    for (const std::string& choice : field.choices) words.insert(format("\"{}\"", choice));
    if (const auto* group = std::get_if<Fields>(&field.target)) add_words(*group, words);
  }
}

void config_seeds(const fs::path& root) {
  const Seeds seeds(root, "config");
  Config config;
  const Fields fields = fields_of(config);
  std::set<std::string> words{"null", "true", "1e300", "-1", "2147483648", "9223372036854775808", "[1, 2]", "{}"};
  for (const ModelEntry& entry : model_registry()) words.insert(format("\"{}\"", entry.name));
  for (const char* preset : {"voc", "camvid", "shapes"}) words.insert(format("\"{}\"", preset));
  add_words(fields, words);
  seeds.words(words);
  for (const Field& field : fields)  // a file a group, with the values that the keys have by default
    seeds.put(field.key, config_to_json(Fields{field}));
  for (const ModelEntry& entry : model_registry())
    seeds.put("model-" + entry.name,
              format(R"({{"model": {{"name": "{}", "options": {{"width": 0.5}}}}}})", entry.name));
  using namespace std::string_literals;
  seeds.put("settings", "{\"comment\": \"two settings\"}\0data.train=100\0model.normalize.std=[1, 2.5, 3]"s);
}

void safetensors_seeds(const fs::path& root) {
  const Seeds seeds(root, "safetensors");
  seeds.words({"\"F64\"", "\"F32\"", "\"F16\"", "\"BF16\"", "\"I64\"", "\"I32\"", "\"U8\"", "\"BOOL\"",
               "\"dtype\":", "\"shape\":", "\"data_offsets\":", "\"__metadata__\":", "[]", "9223372036854775807"});
  std::vector<TensorToWrite> kinds;
  const auto ones = [](const Sink& sink) { sink(std::vector<std::byte>(16, std::byte{1})); };
  for (const auto& [type, count] : {std::pair{FileType::f64, 2},
                                    {FileType::f32, 4},
                                    {FileType::f16, 8},
                                    {FileType::bf16, 8},
                                    {FileType::i64, 2},
                                    {FileType::i32, 4},
                                    {FileType::u8, 16}})
    kinds.push_back({format("t{}", kinds.size()), type, {count / 2, 2}, ones});
  write_safetensors(seeds.path("types"), kinds, {{"key", "value"}});

  Toy toy{ToyOptions{}};
  save_weights(seeds.path("weights"), toy.parameters, {});
  CheckpointInfo info;
  info.config = "{}";
  save_checkpoint(seeds.path("checkpoint"), info, toy.parameters, *toy.optimizer);
  std::string unchecked = read_file(seeds.path("checkpoint"));  // as saved before there were checksums
  unchecked.replace(unchecked.find("checksum"), 1, "C");
  seeds.put("checkpoint-unchecked", unchecked);

  const Config config = parse_config_text(R"({"model": {"name": "tiny_fcn", "classes": 2, "options": {"width": 0.02}},
                                              "data": {"class_names": null}})",
                                          "seed");
  Parameters parameters;
  parameters.ensure(inference_graph(model_spec(config), {1, 64, 64, 3}), 1);
  save_model(seeds.path("run"), config, parameters);
}

void png_seeds(const fs::path& root) {
  const Seeds seeds(root, "png");
  seeds.words({"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "iCCP", "zTXt", "iTXt", "acTL", "sBIT", "hIST", "sPLT"});
  write_png(seeds.path("grey"), ramp(9, 7, 1));
  write_png(seeds.path("rgb"), ramp(5, 11, 3));
  write_palette_png(seeds.path("ids"), ramp(8, 8, 1), std::vector<Colour>(256, Colour{1, 2, 3}));
  seeds.put("grey1", Png{9, 2, 1, grey, {"\x40\x80", "\x20\x80"}}.bytes());
  seeds.put("palette4", Png{3, 1, 4, palette, {"\x12\x10"}, std::string(9, 'c'), "\x10"}.bytes());
  seeds.put("grey-alpha", Png{1, 2, 8, grey_alpha, {"ad", "be"}}.bytes());
  seeds.put("rgba16", Png{1, 1, 16, rgba, {"a1b2c3d4"}}.bytes());
  std::string interlaced = Png{1, 1, 8, grey, {"x"}}.bytes();
  interlaced[28] = 1;  // the target sets the checksum right
  seeds.put("interlaced", interlaced);
  seeds.put("text",
            Png{1, 1, 8, grey, {"x"}}.bytes().insert(33, chunk("zTXt", std::string("k\0\0", 3) + stored("text"))));
}

void jpeg_seeds(const fs::path& root) {
  const Seeds seeds(root, "jpeg");
  seeds.words({"\xff\xd8\xff\xe0", "\xff\xc0", "\xff\xc2", "\xff\xc4", "\xff\xc9", "\xff\xda", "\xff\xdb", "\xff\xdd",
               "\xff\xd9", "\xff\xd0", "\xff\xee", "Adobe"});
  write_jpeg(seeds.path("grey"), ramp(9, 7, 1));
  write_jpeg(seeds.path("rgb"), ramp(17, 12, 3));
#ifdef PIXELWISE_TURBOJPEG
  const Image image = ramp(24, 40, 3);
  const auto put = [&](const char* name, int sampling, int flags) {
    unsigned char* bytes = nullptr;
    unsigned long size = 0;
    const tjhandle handle = tjInitCompress();
    tjCompress2(handle, image.pixels.data(), 40, 0, 24, TJPF_RGB, &bytes, &size, sampling, 75, flags);
    seeds.put(name, std::string(reinterpret_cast<const char*>(bytes), size));
    tjFree(bytes);
    tjDestroy(handle);
  };
  put("quarter", TJSAMP_420, 0);
  put("half-progressive", TJSAMP_422, TJFLAG_PROGRESSIVE);
  put("grey-progressive", TJSAMP_GRAY, TJFLAG_PROGRESSIVE);
#endif
}

void image_seeds(const fs::path& root) {
  using namespace std::string_literals;
  const Seeds seeds(root, "image");
  seeds.words({"P5 ", "P6 ", "BM", "GIF89a", "GIF87a", "8BPS", "#?RADIANCE\n", "255\n", "\x21\xf9\x04", "\x2c"});
  seeds.put("ppm", "P6 2 1 255\nabcdef");
  seeds.put("pgm16", "P5 3 1 65535\nxxyyzz");
  const std::string bmp = "BM\x42\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\1\0\0\0\1\0\x18\0"s + std::string(24, '\0');
  seeds.put("bmp", bmp + "bgrBGR\0\0"s);
  std::string tga(18, '\0');
  tga[2] = 2, tga[12] = 2, tga[14] = 1, tga[16] = 24, tga[17] = 0x20;
  seeds.put("tga", tga + "bgrBGR");
  tga[2] = 10;
  seeds.put("tga-runs", tga +
                            "\x81"
                            "bgr");
  seeds.put("gif",
            "GIF89a\2\0\1\0\x80\0\0\0\0\0\xff\xff\xff\x21\xf9\4\0\0\0\0\0\x2c\0\0\0\0\2\0\1\0\0\2\2\x44\n\0\x3b"s);
}

void list_seeds(const fs::path& root) {
  const Seeds seeds(root, "list");
  seeds.words({"i/a.jpg", "m/a.png", "i/b.jpg", "m/b.png", "i/c.jpg", "m/c.png", "\r\n", "\t", "../", "/dev/null"});
  seeds.put("pairs", "i/a.jpg m/a.png\r\ni/b.jpg m/b.png\n");
  seeds.put("sizes", "i/c.jpg m/c.png\n");
  seeds.put("ids", "a\r\nb\n\nc");
}

}  // namespace
}  // namespace pixelwise

int main(int count, char** arguments) {
  if (count != 2) return fmt::print(stderr, "usage: fuzz_seeds FOLDER\n"), 2;
  const std::filesystem::path root = arguments[1];
  pixelwise::config_seeds(root);
  pixelwise::safetensors_seeds(root);
  pixelwise::png_seeds(root);
  pixelwise::jpeg_seeds(root);
  pixelwise::image_seeds(root);
  pixelwise::list_seeds(root);
}
