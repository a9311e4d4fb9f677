// Times ExecuTorch programs on a device that has neither Python nor torch.
//
// One request a line on standard input, one answer a line on standard output: "ok ..." or "error ...". It ends when its
// input ends, or when no request came for IDLE seconds, so that a cut link leaves nothing running.
//
//   hello                       ok <protocol> executorch <pointer bits>
//   load KEY PROGRAM INPUTS     the program, and a file of its inputs' bytes one after another
//   run KEY CALLS               ok <nanoseconds for all of them>, after an untimed call if they are short
//   output KEY FILE             runs once and writes the outputs' bytes one after another: ok <bytes>
//   memory KEY                  ok <bytes of the planned activation buffers>
//   drop KEY
//
// usage: agent THREADS IDLE [CPU,CPU...]
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

// the wheel has the library but not these declarations
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

using executorch::aten::Tensor;
using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::runtime::EValue;

namespace {

constexpr int PROTOCOL = 1;

template <typename T>
T checked(executorch::runtime::Result<T> result, const std::string& what) {
  if (!result.ok()) {
    throw std::runtime_error(what + ": ExecuTorch error " + std::to_string(static_cast<int>(result.error())));
  }
  return std::move(*result);
}

struct Program {
  std::unique_ptr<Module> module;
  std::vector<std::vector<char>> bytes;
  std::vector<TensorPtr> tensors;
  std::vector<EValue> inputs;
  long memory = 0;
  double nanoseconds = 0;  // of a call, when last timed

  Program(const std::string& program, const std::string& given)
      : module(std::make_unique<Module>(program, Module::LoadMode::File)) {
    auto meta = checked(module->method_meta("forward"), "program " + program);
    std::ifstream file(given, std::ios::binary);
    for (size_t i = 0; i < meta.num_inputs(); ++i) {
      auto input = checked(meta.input_tensor_meta(i), "input " + std::to_string(i));
      auto& buffer = bytes.emplace_back(input.nbytes());
      if (!file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()))) {
        throw std::runtime_error("inputs " + given + ": shorter than the program's inputs");
      }
      std::vector<executorch::aten::SizesType> sizes(input.sizes().begin(), input.sizes().end());
      tensors.push_back(executorch::extension::from_blob(buffer.data(), sizes, input.scalar_type()));
      inputs.emplace_back(*tensors.back());
    }
    for (size_t i = 0; i < meta.num_memory_planned_buffers(); ++i) {
      memory += checked(meta.memory_planned_buffer_size(i), "memory");
    }
    run();
  }

  std::vector<EValue> run() { return checked(module->forward(inputs), "run"); }
};

std::map<std::string, std::unique_ptr<Program>> programs;

Program& known(const std::string& key) {
  auto found = programs.find(key);
  if (found == programs.end()) throw std::runtime_error("no program " + key);
  return *found->second;
}

std::string answer(std::istringstream& line) {
  std::string verb, key;
  line >> verb >> key;
  if (verb == "hello") return std::to_string(PROTOCOL) + " executorch " + std::to_string(8 * sizeof(void*));
  if (verb == "load") {
    std::string program, inputs;
    line >> program >> inputs;
    programs[key] = std::make_unique<Program>(program, inputs);
    return "";
  }
  if (verb == "run") {
    long calls = 0;
    line >> calls;
    if (calls < 1) throw std::runtime_error("run: calls must be at least 1");
    auto& program = known(key);
    // the link's own work has cooled the caches since the last run: calls of a local loop follow one another warm
    if (program.nanoseconds < 5e6) program.run();
    auto start = std::chrono::steady_clock::now();  // no step of the wall clock moves it
    for (long i = 0; i < calls; ++i) program.run();
    auto spent = std::chrono::steady_clock::now() - start;
    const auto total = std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
    program.nanoseconds = static_cast<double>(total) / static_cast<double>(calls);
    return std::to_string(total);
  }
  if (verb == "output") {
    std::string path;
    line >> path;
    long written = 0;
    std::ofstream file(path, std::ios::binary);
    for (auto& value : known(key).run()) {
      const Tensor& tensor = value.toTensor();
      file.write(static_cast<const char*>(tensor.const_data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
      written += static_cast<long>(tensor.nbytes());
    }
    file.close();
    if (!file) throw std::runtime_error("output: cannot write " + path);
    return std::to_string(written);
  }
  if (verb == "memory") return std::to_string(known(key).memory);
  if (verb == "drop") {
    programs.erase(key);
    return "";
  }
  throw std::runtime_error("unknown request " + verb);
}

void pin(const std::string& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::istringstream list(cpus);
  for (std::string cpu; std::getline(list, cpu, ',');) CPU_SET(std::stoi(cpu), &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) throw std::runtime_error("cannot pin to CPUs " + cpus);
}

}  // namespace

int main(int count, char** given) {
  std::ios::sync_with_stdio(true);
  try {
    if (count < 3) throw std::runtime_error("usage: agent THREADS IDLE [CPU,CPU...]");
    const unsigned idle = static_cast<unsigned>(std::stoul(given[2]));
    if (count > 3) pin(given[3]);  // before the pool: its threads inherit it
    executorch::extension::threadpool::get_threadpool()->_unsafe_reset_threadpool(
        static_cast<uint32_t>(std::stoul(given[1])));
    alarm(idle);
    for (std::string text; std::getline(std::cin, text);) {
      alarm(idle);
      std::istringstream line(text);
      try {
        std::string result = answer(line);
        std::cout << (result.empty() ? "ok" : "ok " + result) << std::endl;
      } catch (const std::exception& error) {
        std::cout << "error " << error.what() << std::endl;
      }
      alarm(idle);
    }
  } catch (const std::exception& error) {
    std::cout << "error " << error.what() << std::endl;
    return 2;
  }
  return 0;
}
