#include <charconv>
#include <cstdio>

#include "app/graph_svg.hpp"
#include "app/model_graph.hpp"
#include "app/report.hpp"
#include "core/format.hpp"
#include "pixelwise/core/error.hpp"
#include "pixelwise/io/files.hpp"
#include "pixelwise/io/json.hpp"
#include "pixelwise/nn/describe.hpp"

namespace pixelwise {
namespace {

Size parse_size(const std::string& text) {
  Size size;
  const char* end = text.data() + text.size();
  const auto h = std::from_chars(text.data(), end, size.h);
  if (h.ec == std::errc() && h.ptr != end && *h.ptr == 'x') {
    const auto w = std::from_chars(h.ptr + 1, end, size.w);
    if (w.ec == std::errc() && w.ptr == end && size.h > 0 && size.w > 0) return size;
  }
  throw UsageError(format("--size {}: wanted HEIGHTxWIDTH, for example 320x480", text));
}

JsonValue::Array rows_json(const std::vector<NodeRow>& rows) {
  JsonValue::Array array;
  for (const NodeRow& row : rows) {
    array.emplace_back(JsonValue::Object{{"name", row.name},
                                         {"operator", row.op},
                                         {"kernel", row.kernel},
                                         {"shape", to_string(row.dst)},
                                         {"parameters", row.parameters},
                                         {"flop", row.flops},
                                         {"bytes", row.bytes},
                                         {"receptive_field", row.field},
                                         {"stride", row.stride}});
  }
  return array;
}

constexpr Size list_size{513, 513};

int64_t parameters_of(const Graph& graph) {
  int64_t parameters = 0;
  for (const Value& value : graph.values) {
    if (value.storage == Storage::parameter) parameters += value.shape.count();
  }
  return parameters;
}
double gflop_of(const Graph& graph) { return static_cast<double>(total_flops(graph, graph.all())) * 1e-9; }

// Every model with its default options.
void list_models() {
  constexpr int64_t classes = 21;
  std::string text =
      format("Parameters for {} classes; GFLOP of a photo of {}.\n\n{:<28} {:>12} {:>8}  paper (options)\n", classes,
             to_string(list_size), "model", "parameters", "GFLOP");
  for (const ModelEntry& entry : model_registry()) {
    const Graph graph = inference_graph({entry.name, classes, 3, {}}, {1, list_size.h, list_size.w, 3});
    text += format("{:<28} {:>12} {:>8.1f}  {} ({})\n", entry.name, parameters_of(graph), gflop_of(graph), entry.paper,
                   fmt::join(entry.options, ", "));
  }
  std::fputs(text.c_str(), stdout);
}

// The model before anything is fused: batch norm and activations belong to the maps that they change.
void draw_model(const DescribeArguments& arguments) {
  ModelArguments drawn = arguments;
  drawn.mode = "infer";
  drawn.batch = 1;
  if (drawn.size.empty()) drawn.size = to_string(list_size);
  const ModelGraph model = model_graph(drawn);
  const ModelSpec spec = model_spec(model.config);
  Graph graph;
  Builder builder(graph, Phase::inference);
  const ValueId image = builder.input("image", Type::f32, model.graph.at(model.graph.find("image")).shape);
  build_model(builder, spec, image);
  const std::string title = format("{}: {:.1f} million parameters, {:.1f} GFLOP", spec.name,
                                   static_cast<double>(parameters_of(graph)) * 1e-6, gflop_of(model.graph));
  write_file(arguments.svg, svg_of(graph, image, title));
}

}  // namespace

ModelGraph model_graph(const ModelArguments& arguments) {
  if (arguments.model.empty() == arguments.config.empty()) throw UsageError("give a model's name or --config FILE");
  if (arguments.mode != "train" && arguments.mode != "infer")
    throw UsageError(format("--mode {}: wanted train or infer", arguments.mode));
  std::vector<std::string> settings = arguments.settings;
  ModelGraph result;
  if (arguments.config.empty()) {
    settings.insert(settings.begin(), "model.name=\"" + arguments.model + "\"");
    settings.insert(settings.begin(), "data.class_names=null");
    result.config = parse_config_text("{}", "--set", settings);
  } else {
    result.config = load_config(arguments.config, settings);
  }
  Config& config = result.config;
  if (arguments.batch > 0) config.train.batch_size = arguments.batch;
  const Size size = !arguments.size.empty() ? parse_size(arguments.size) : config.augment.crop;
  if (size.h * size.w == 0) throw UsageError("--size HxW is missing: the configuration has no crop");
  result.training = arguments.mode == "train";
  const Shape image{config.train.batch_size, size.h, size.w, config.model.in_channels};
  result.graph = result.training ? training_graph(config, size)
                                 : inference_graph(model_spec(config), image, {}, precision_of(config));
  return result;
}

int describe_command(const DescribeArguments& arguments) {
  if (arguments.list) {
    list_models();
    return 0;
  }
  if (!arguments.svg.empty()) {
    draw_model(arguments);
    return 0;
  }
  const ModelGraph model = model_graph(arguments);
  const Graph& graph = model.graph;
  const Plan plan = make_plan(graph, graph.all(), precision_of(model.config));
  print_warnings(warnings_of(graph));
  const std::vector<NodeRow> rows = node_rows(graph, plan, graph.all());
  const std::string text = arguments.csv    ? dump_csv(rows_json(rows))
                           : arguments.json ? dump_json(rows_json(rows), 1) + "\n"
                                            : describe(graph, plan, graph.all());
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace pixelwise
