// Boost.Beast: its blocking stream (`sync`), and its asynchronous one on an io_context (`async`).
//
//   hose, send, echo, cycles, deflate   --api async | sync
//   echo-blocking                       --api async (the caller posts to the io_context's thread, and waits)
//   idle                                --api async
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "run.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
// On the plain socket, without Beast's timers: their cost would be paid for nothing that is measured here.
using Stream = websocket::stream<tcp::socket>;

namespace {

Options options;

// MARK: Connecting

std::string hose_target(std::uint64_t count) {
  bool deflate = options.workload == "deflate";
  return "/hose?size=" + std::to_string(options.size) + "&count=" + std::to_string(count) +
         "&kind=" + (deflate ? "text&deflate=1" : options.kind);
}

void configure(Stream &stream) {
  stream.next_layer().set_option(tcp::no_delay(true));
  stream.read_message_max(0);
  stream.auto_fragment(false);
  stream.binary(true);
  if (options.workload == "deflate") {
    websocket::permessage_deflate deflate;
    deflate.client_enable = true;
    stream.set_option(deflate);
  }
}

tcp::endpoint endpoint() {
  return {asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::stoi(options.port))};
}

std::unique_ptr<Stream> open(asio::io_context &context, const std::string &target) {
  auto stream = std::make_unique<Stream>(context);
  stream->next_layer().connect(endpoint());
  configure(*stream);
  stream->handshake("127.0.0.1:" + options.port, target);
  return stream;
}

void close(Stream &stream) {
  stream.close(websocket::close_code::normal);
}

std::string payload() {
  return std::string(options.size - 1, 'x') + "a";
}

void check_echo(const beast::flat_buffer &buffer, const std::string &message) {
  auto data = buffer.cdata();
  if (data.size() != message.size() || std::memcmp(data.data(), message.data(), data.size()) != 0)
    throw std::runtime_error("the echo is not what was sent");
}

// MARK: Blocking

Run sync_hose(std::uint64_t count) {
  asio::io_context context;
  auto stream = open(context, hose_target(count));
  bool text = options.kind == "text" || options.workload == "deflate";
  beast::flat_buffer buffer;
  Run run;
  while (run.messages < count) {
    stream->read(buffer);
    run.take(buffer, text);
    buffer.clear();
  }
  run.stop();
  close(*stream);
  return run;
}

Run sync_send(std::uint64_t count) {
  asio::io_context context;
  auto stream = open(context, "/sink");
  auto message = payload();
  beast::flat_buffer buffer;
  Run run;
  for (std::uint64_t i = 0; i < count; i++) stream->write(asio::buffer(message));
  stream->text(true);
  stream->write(asio::buffer("report", 6));
  stream->read(buffer);
  run.take_report(buffer);
  close(*stream);
  return run;
}

Run sync_echo(std::uint64_t count) {
  asio::io_context context;
  auto stream = open(context, "/echo");
  auto message = payload();
  beast::flat_buffer buffer;
  Run run;
  for (std::uint64_t i = 0; i < options.warmup + count; i++) {
    if (i == options.warmup) run.begin = now();
    double start = now();
    stream->write(asio::buffer(message));
    stream->read(buffer);
    if (i >= options.warmup) run.samples.push_back(now() - start);
    check_echo(buffer, message);
    buffer.clear();
  }
  run.stop();
  run.messages = count;
  run.bytes = count * options.size;
  close(*stream);
  return run;
}

Run sync_cycles(std::uint64_t count) {
  asio::io_context context;
  Run run;
  for (; run.messages < count; run.messages++) close(*open(context, "/idle"));
  run.stop();
  return run;
}

// MARK: Asynchronous

void check(beast::error_code error) {
  if (error) throw beast::system_error(error);
}

// Reads until `count` messages are there.
struct Hose {
  Stream &stream;
  std::uint64_t count;
  bool text;
  Run run;
  beast::flat_buffer buffer;

  void read() {
    stream.async_read(buffer, [this](beast::error_code error, std::size_t) {
      check(error);
      run.take(buffer, text);
      buffer.clear();
      if (run.messages < count) {
        read();
      } else {
        run.stop();
      }
    });
  }
};

Run async_hose(std::uint64_t count) {
  asio::io_context context(1);
  auto stream = open(context, hose_target(count));
  Hose hose{*stream, count, options.kind == "text" || options.workload == "deflate", {}, {}};
  hose.read();
  context.run();
  close(*stream);
  return hose.run;
}

// Writes one message after another; Beast allows one write at a time.
struct Sender {
  Stream &stream;
  std::uint64_t left;
  std::string message;
  Run run;
  beast::flat_buffer buffer;

  void write() {
    if (left-- == 0) return report();
    stream.async_write(asio::buffer(message), [this](beast::error_code error, std::size_t) {
      check(error);
      write();
    });
  }

  void report() {
    stream.text(true);
    stream.async_write(asio::buffer("report", 6), [this](beast::error_code error, std::size_t) {
      check(error);
      stream.async_read(buffer, [this](beast::error_code error, std::size_t) {
        check(error);
        run.take_report(buffer);
      });
    });
  }
};

Run async_send(std::uint64_t count) {
  asio::io_context context(1);
  auto stream = open(context, "/sink");
  Sender sender{*stream, count, payload(), {}, {}};
  sender.write();
  context.run();
  close(*stream);
  return sender.run;
}

// One message in flight; `done` is called with each answer.
struct Echo {
  Stream &stream;
  std::string message;
  beast::flat_buffer buffer;
  std::function<void()> done;

  void round_trip() {
    stream.async_write(asio::buffer(message), [this](beast::error_code error, std::size_t) {
      check(error);
      stream.async_read(buffer, [this](beast::error_code error, std::size_t) {
        check(error);
        check_echo(buffer, message);
        buffer.clear();
        done();
      });
    });
  }
};

Run async_echo(std::uint64_t count) {
  asio::io_context context(1);
  auto stream = open(context, "/echo");
  Run run;
  std::uint64_t warmup = options.warmup;
  double start = now();
  Echo echo{*stream, payload(), {}, {}};
  echo.done = [&] {
    if (warmup) {
      if (--warmup == 0) run.begin = now();
    } else {
      run.samples.push_back(now() - start);
    }
    if (run.samples.size() == count) return run.stop();
    start = now();
    echo.round_trip();
  };
  echo.round_trip();
  context.run();
  run.messages = count;
  run.bytes = count * options.size;
  close(*stream);
  return run;
}

Run async_echo_blocking(std::uint64_t count) {
  asio::io_context context(1);
  auto stream = open(context, "/echo");
  auto work = asio::make_work_guard(context);
  std::mutex mutex;
  std::condition_variable answered;
  bool ready = false;
  Echo echo{*stream, payload(), {}, {}};
  echo.done = [&] {
    {
      std::lock_guard<std::mutex> lock(mutex);
      ready = true;
    }
    answered.notify_one();
  };
  std::thread thread([&] { context.run(); });
  Run run;
  for (std::uint64_t i = 0; i < options.warmup + count; i++) {
    if (i == options.warmup) run.begin = now();
    double start = now();
    asio::post(context, [&] { echo.round_trip(); });
    std::unique_lock<std::mutex> lock(mutex);
    answered.wait(lock, [&] { return ready; });
    ready = false;
    if (i >= options.warmup) run.samples.push_back(now() - start);
  }
  run.stop();
  run.messages = count;
  run.bytes = count * options.size;
  work.reset();
  thread.join();
  close(*stream);
  return run;
}

// Connects, shakes hands and closes by callbacks, again and again.
struct Cycles {
  asio::io_context &context;
  std::uint64_t left;
  std::string host = "127.0.0.1:" + options.port;
  std::unique_ptr<Stream> stream = nullptr;

  void next() {
    if (left-- == 0) return;
    stream = std::make_unique<Stream>(context);
    stream->next_layer().async_connect(endpoint(), [this](beast::error_code error) {
      check(error);
      configure(*stream);
      stream->async_handshake(host, "/idle", [this](beast::error_code error) {
        check(error);
        stream->async_close(websocket::close_code::normal, [this](beast::error_code error) {
          check(error);
          next();
        });
      });
    });
  }
};

Run async_cycles(std::uint64_t count) {
  asio::io_context context(1);
  Run run;
  Cycles cycles{context, count};
  cycles.next();
  context.run();
  run.stop();
  run.messages = count;
  return run;
}

Run async_idle(std::uint64_t count) {
  struct Idle {
    std::unique_ptr<Stream> stream;
    beast::flat_buffer buffer;
  };
  asio::io_context context(1);
  std::vector<std::unique_ptr<Idle>> connections;
  auto add = [&] {
    connections.push_back(std::make_unique<Idle>());
    auto &idle = *connections.back();
    idle.stream = open(context, "/idle");
    // A read is under way on each, as it is with a client that waits for messages.
    idle.stream->async_read(idle.buffer, [](beast::error_code, std::size_t) {});
  };
  add();
  context.poll();
  long before = status_number("VmRSS");
  Run run;
  for (; run.messages < count; run.messages++) add();
  context.poll();
  run.stop();
  run.kib_per_connection = static_cast<double>(status_number("VmRSS") - before) / static_cast<double>(count);
  run.threads_open = status_number("Threads");
  return run;
}

}  // namespace

int main(int argc, char **argv) try {
  options.workload = argc > 1 ? argv[1] : "";
  for (int i = 2; i + 1 < argc; i += 2) {
    std::string name = argv[i], value = argv[i + 1];
    if (name == "--url") options.port = value.substr(value.rfind(':') + 1);
    if (name == "--api") options.api = value;
    if (name == "--kind") options.kind = value;
    if (name == "--size") options.size = std::stoull(value);
    if (name == "--count") options.count = std::stoull(value);
    if (name == "--warmup") options.warmup = std::stoull(value);
  }
  const std::map<std::string, Run (*)(std::uint64_t)> workloads = {
      {"hose async", async_hose},     {"hose sync", sync_hose},     {"deflate async", async_hose},
      {"deflate sync", sync_hose},    {"send async", async_send},   {"send sync", sync_send},
      {"echo async", async_echo},     {"echo sync", sync_echo},     {"echo-blocking async", async_echo_blocking},
      {"cycles async", async_cycles}, {"cycles sync", sync_cycles}, {"idle async", async_idle},
  };
  auto run_workload = workloads.at(options.workload + " " + options.api);
  bool own_warmup = options.workload.rfind("echo", 0) == 0 || options.workload == "idle";
  if (options.warmup && !own_warmup) run_workload(options.warmup);
  Run run = run_workload(options.count);
  std::printf(
      "{\"peer\":\"beast\",\"api\":\"%s\",\"workload\":\"%s\",\"version\":\"Boost "
      "%s\",\"messages\":%llu,\"bytes\":%llu,\"seconds\":%.6f,",
      options.api.c_str(), options.workload.c_str(), BOOST_LIB_VERSION, static_cast<unsigned long long>(run.messages),
      static_cast<unsigned long long>(run.bytes), run.seconds);
  if (run.checksum) std::printf("\"checksum\":%u,", run.checksum);
  if (!run.samples.empty())
    std::printf("\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,", run.percentile(0.5), run.percentile(0.99),
                run.percentile(0.999));
  if (run.kib_per_connection >= 0)
    std::printf("\"kib_per_connection\":%.2f,\"threads_open\":%ld,", run.kib_per_connection, run.threads_open);
  std::printf("\"resident_kib\":%ld,\"threads\":%ld}\n", status_number("VmRSS"), status_number("Threads"));
} catch (const std::exception &error) {
  std::cerr << "beast: " << error.what() << "\n";
  return 1;
}
