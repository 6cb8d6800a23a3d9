#include "pixelwise/io/sha256.hpp"

#include <gtest/gtest.h>

#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "support/scratch.hpp"

namespace pixelwise {
namespace {

std::string sha256(const std::string& text) {
  Sha256 hash;
  hash.add(text);
  return hash.hex();
}

// The examples of NIST (FIPS 180-4), and lengths around the 64 bytes of a block, as sha256sum prints them.
TEST(Sha256, GivesTheStandardsExamples) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(55, 'a')), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(sha256(std::string(64, 'a')), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
  EXPECT_EQ(sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesGiveTheHashOfTheWhole) {
  Sha256 hash;
  std::string whole;
  for (size_t length = 0; length < 150; length += 7) {
    hash.add(std::string(length, static_cast<char>(length)));
    whole += std::string(length, static_cast<char>(length));
    EXPECT_EQ(hash.hex(), sha256(whole)) << length;
  }
}

TEST(Sha256, OfAFile) {
  const ScratchFolder scratch;
  write_file(scratch.path("abc"), std::string("abc"));
  EXPECT_EQ(sha256_of_file(scratch.path("abc")), sha256("abc"));
  write_file(scratch.path("large"), std::string((1 << 20) + 3, 'x'));
  EXPECT_EQ(sha256_of_file(scratch.path("large")), sha256(std::string((1 << 20) + 3, 'x')));
  EXPECT_THROW(sha256_of_file(scratch.path("none")), DataError);
  EXPECT_THROW(sha256_of_file(scratch.root()), DataError);
}

}  // namespace
}  // namespace pixelwise
