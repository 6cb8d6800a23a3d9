// A dataset seen otherwise: some of its samples, its photos resized, the middle of them.
#include <algorithm>
#include <numeric>

#include "pixelwise/data/augment.hpp"
#include "pixelwise/data/dataset.hpp"

namespace pixelwise {
namespace {

class Chosen : public Dataset {
 public:
  Chosen(std::unique_ptr<Dataset> all, std::vector<int64_t> indices)
      : all_(std::move(all)), indices_(std::move(indices)) {}
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  std::string id(int64_t index) const override { return all_->id(at(index)); }
  Sample read(int64_t index) const override { return all_->read(at(index)); }
  std::vector<std::string> files(int64_t index) const override { return all_->files(at(index)); }

 private:
  int64_t at(int64_t index) const { return indices_.at(static_cast<size_t>(index)); }

  std::unique_ptr<Dataset> all_;
  std::vector<int64_t> indices_;
};

class Resized : public Dataset {
 public:
  Resized(std::unique_ptr<Dataset> all, Size size) : all_(std::move(all)), size_(size) {}
  int64_t size() const override { return all_->size(); }
  std::string id(int64_t index) const override { return all_->id(index); }
  std::vector<std::string> files(int64_t index) const override { return all_->files(index); }
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
  std::vector<std::string> files(int64_t index) const override { return all_->files(index); }
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
  std::vector<int64_t> indices(static_cast<size_t>(std::min(count, all->size())));
  std::iota(indices.begin(), indices.end(), 0);
  return std::make_unique<Chosen>(std::move(all), std::move(indices));
}
std::unique_ptr<Dataset> without_samples(std::unique_ptr<Dataset> all, const std::vector<int64_t>& indices) {
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < all->size(); ++i) {
    if (!std::binary_search(indices.begin(), indices.end(), i)) kept.push_back(i);
  }
  return std::make_unique<Chosen>(std::move(all), std::move(kept));
}
std::unique_ptr<Dataset> resized(std::unique_ptr<Dataset> all, Size size) {
  return std::make_unique<Resized>(std::move(all), size);
}
std::unique_ptr<Dataset> centre_crops(std::unique_ptr<Dataset> all, Size size) {
  return std::make_unique<CentreCrops>(std::move(all), size);
}

}  // namespace pixelwise
