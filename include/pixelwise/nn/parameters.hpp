// The parameters of a model: they outlive every graph and plan.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pixelwise/nn/graph.hpp"

namespace pixelwise {

/// Memory that is mapped, zeroed, 64-byte aligned, with huge pages where the system gives them.
class Memory {
 public:
  Memory() = default;
  explicit Memory(int64_t bytes);  ///< throws ResourceError with the number of bytes
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;
  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

/// One master tensor, in our layout (O,H,W,I; depthwise H,W,C; vectors).
struct Parameter {
  std::string name;
  Type type = Type::f32;
  Shape shape;
  Layout layout = Layout::vector;
  Init init = Init::zeros;
  double constant = 0;  ///< of Init::constant
  bool trained = true;  ///< false: state, or frozen
  Memory memory;
  uint64_t version = 1;  ///< goes up with every change; packed copies compare it
  View view() const { return dense_view(memory.data(), type, shape); }
  std::vector<int64_t> torch_shape() const;  ///< {C}, {O, I, H, W} or {C, 1, H, W}
};

class Parameters {
 public:
  /// Makes the parameters and states that the graph names and that are not there yet, and initialises them: each from
  /// its own random stream (seed, name). Throws UsageError where one is there with another shape or type.
  void ensure(const Graph& graph, uint64_t seed);

  Parameter* find(const std::string& name);
  const Parameter* find(const std::string& name) const;
  Parameter& at(const std::string& name);  ///< throws UsageError
  std::vector<Parameter*> all();           ///< in the order of the graph
  std::vector<const Parameter*> all() const;
  int64_t count() const;  ///< trained elements

 private:
  std::vector<std::unique_ptr<Parameter>> list_;
  std::map<std::string, Parameter*> by_name_;
};

/// Sets a parameter to its initial values.
void initialise(Parameter& parameter, uint64_t seed);

}  // namespace pixelwise
