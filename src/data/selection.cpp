// A dataset seen otherwise: its first samples, its photos resized, the middle of them.
#include <algorithm>

#include "pixelwise/data/augment.hpp"
#include "pixelwise/data/dataset.hpp"

namespace pixelwise {
namespace {

class FirstSamples : public Dataset {
 public:
  FirstSamples(std::unique_ptr<Dataset> all, int64_t count) : all_(std::move(all)), count_(count) {}
  int64_t size() const override { return std::min(count_, all_->size()); }
  std::string id(int64_t index) const override { return all_->id(index); }
  Sample read(int64_t index) const override { return all_->read(index); }
  std::string photo_path(int64_t index) const override { return all_->photo_path(index); }

 private:
  std::unique_ptr<Dataset> all_;
  int64_t count_;
};

class Resized : public Dataset {
 public:
  Resized(std::unique_ptr<Dataset> all, Size size) : all_(std::move(all)), size_(size) {}
  int64_t size() const override { return all_->size(); }
  std::string id(int64_t index) const override { return all_->id(index); }
  std::string photo_path(int64_t index) const override { return all_->photo_path(index); }
  Sample read(int64_t index) const override {
    Sample sample = all_->read(index);
    sample.photo = resize_photo(sample.photo, size_);
    sample.mask = resize_mask(sample.mask, size_);
    return sample;
  }

 private:
  std::unique_ptr<Dataset> all_;
  Size size_;
};

class CentreCrops : public Dataset {
 public:
  CentreCrops(std::unique_ptr<Dataset> all, Size size) : all_(std::move(all)), size_(size) {}
  int64_t size() const override { return all_->size(); }
  std::string id(int64_t index) const override { return all_->id(index); }
  std::string photo_path(int64_t index) const override { return all_->photo_path(index); }
  Sample read(int64_t index) const override {
    Sample sample = all_->read(index);
    const Size size{std::min(size_.h, sample.photo.height), std::min(size_.w, sample.photo.width)};
    const int64_t top = (sample.photo.height - size.h) / 2, left = (sample.photo.width - size.w) / 2;
    sample.photo = cut(sample.photo, top, left, size);
    sample.mask = cut(sample.mask, top, left, size);
    return sample;
  }

 private:
  std::unique_ptr<Dataset> all_;
  Size size_;
};

}  // namespace

std::unique_ptr<Dataset> first_samples(std::unique_ptr<Dataset> all, int64_t count) {
  return std::make_unique<FirstSamples>(std::move(all), count);
}
std::unique_ptr<Dataset> resized(std::unique_ptr<Dataset> all, Size size) {
  return std::make_unique<Resized>(std::move(all), size);
}
std::unique_ptr<Dataset> centre_crops(std::unique_ptr<Dataset> all, Size size) {
  return std::make_unique<CentreCrops>(std::move(all), size);
}

}  // namespace pixelwise
