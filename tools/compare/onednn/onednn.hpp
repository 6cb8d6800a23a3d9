// A convolution by oneDNN, in any pass, in the layouts that oneDNN prefers.
#pragma once
#include <dnnl.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "pixelwise/core/operators.hpp"
#include "pixelwise/core/view.hpp"
#include "pixelwise/nn/parameters.hpp"

/// The operands of a convolution, and how it is applied. A transposed convolution is one whose x and y have changed
/// roles: what oneDNN calls deconvolution runs the same code.
struct Convolution {
  pixelwise::View x, weights, y;
  pixelwise::Size kernel, stride, pad, dilation;
  int64_t groups = 1;
};

/// y of x, x of y (the data gradient), or the weights of both.
class OneDnn {
 public:
  /// Brings what the pass reads into the layouts that oneDNN chooses; the views are read now, and not again.
  OneDnn(const Convolution& convolution, pixelwise::Pass pass);
  void run();
  /// The result, in the layout of the operand that the pass writes, in place of its values.
  void write_result();
  std::string implementation() const { return implementation_; }  ///< oneDNN's name for its kernel

 private:
  dnnl::memory preferred(const pixelwise::View& view, const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted,
                         bool read);

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive primitive_;
  std::vector<pixelwise::Memory> memory_;  // in huge pages, as our maps
  std::unordered_map<int, dnnl::memory> arguments_;
  dnnl::memory result_, destination_;  // as oneDNN writes it; in our layout
  std::string implementation_;
};
