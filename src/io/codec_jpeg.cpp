// JPEG with libjpeg-turbo's TurboJPEG interface. A truncated file decodes with a warning there: here it is an error,
// and ends the work at once. A progressive file may have 500 scans, so that a small one cannot take minutes.
#include "core/format.hpp"
#include "io/codecs.hpp"
#include "pixelwise/core/error.hpp"

#ifdef PIXELWISE_TURBOJPEG
#include <turbojpeg.h>
#if __has_include(<jconfig.h>)
#include <jconfig.h>  // the version, which turbojpeg.h has not got before 3.0
#endif

namespace pixelwise {
namespace {

struct Decoder {
  tjhandle handle = tjInitDecompress();
  ~Decoder() { tjDestroy(handle); }
};

struct Header {
  int width = 0, height = 0, subsampling = 0, colours = 0;
};

Header read_header(const Decoder& decoder, const std::string& path, const std::string& bytes) {
  Header h;
  if (tjDecompressHeader3(decoder.handle, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), &h.width,
                          &h.height, &h.subsampling, &h.colours) != 0)
    throw_codec_error(path, "bad JPEG", tjGetErrorStr2(decoder.handle));
  constexpr int64_t pixels_per_byte = 8 * 64;  // a block of 8x8 takes at least one bit
  check_image_size(path, h.height, h.width, bytes.size(), pixels_per_byte);
  return h;
}

}  // namespace

#ifdef LIBJPEG_TURBO_VERSION
#define PIXELWISE_TEXT(x) #x
#define PIXELWISE_TEXT_OF(x) PIXELWISE_TEXT(x)
std::string jpeg_library() { return "libjpeg-turbo " PIXELWISE_TEXT_OF(LIBJPEG_TURBO_VERSION); }
#else
std::string jpeg_library() { return "libjpeg-turbo"; }
#endif

Image decode_jpeg(const std::string& path, const std::string& bytes) {
  const Decoder decoder;
  const Header h = read_header(decoder, path, bytes);
  if (h.colours == TJCS_CMYK || h.colours == TJCS_YCCK)
    throw DataError(format("{}: a CMYK JPEG; wanted grey or RGB", path));
  const bool grey = h.colours == TJCS_GRAY;
  Image image(h.height, h.width, grey ? 1 : 3);
  if (tjDecompress2(decoder.handle, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    image.pixels.data(), h.width, 0, h.height, grey ? TJPF_GRAY : TJPF_RGB,
                    TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0)
    throw_codec_error(path, "damaged JPEG", tjGetErrorStr2(decoder.handle));
  return image;
}

Size jpeg_size(const std::string& path, const std::string& bytes) {
  const Header h = read_header(Decoder{}, path, bytes);
  return {h.height, h.width};
}

}  // namespace pixelwise

#else

namespace pixelwise {

std::string jpeg_library() { return "stb_image"; }
Image decode_jpeg(const std::string& path, const std::string& bytes) { return decode_stb(path, bytes); }
Size jpeg_size(const std::string& path, const std::string& bytes) { return stb_size(path, bytes); }

}  // namespace pixelwise

#endif
