// What a run of the Beast peer counts and measures, and the command line that all peers have: see Peers/README.md.
#pragma once

#include <algorithm>
#include <boost/beast/core.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Options {
  std::string workload, port, api = "async", kind = "binary";
  std::uint64_t size = 16, count = 1000, warmup = 0;
};

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline long status_number(const std::string &name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::stol(line.substr(name.size() + 1));
  }
  return 0;
}

struct Run {
  std::uint64_t messages = 0, bytes = 0;
  std::uint32_t checksum = 0;
  double begin = now(), seconds = 0;
  std::vector<double> samples;
  double kib_per_connection = -1;
  long threads_open = 0;

  void stop() { seconds = now() - begin; }

  // Looks at a message where it is; text is made a string first.
  void take(const boost::beast::flat_buffer &buffer, bool text) {
    auto data = buffer.cdata();
    messages++;
    bytes += data.size();
    unsigned char last;
    if (text) {
      std::string string(static_cast<const char *>(data.data()), data.size());
      last = static_cast<unsigned char>(string.back());
    } else {
      last = static_cast<const unsigned char *>(data.data())[data.size() - 1];
    }
    checksum = checksum * 31 + last;
  }

  void take_report(const boost::beast::flat_buffer &buffer) {
    stop();
    unsigned long long messages_seen, bytes_seen;
    auto text = boost::beast::buffers_to_string(buffer.cdata());
    if (std::sscanf(text.c_str(), "{\"messages\":%llu,\"bytes\":%llu,\"checksum\":%u}", &messages_seen, &bytes_seen,
                    &checksum) != 3)
      throw std::runtime_error("the sink's report: " + text);
    messages = messages_seen;
    bytes = bytes_seen;
  }

  double percentile(double share) {
    std::sort(samples.begin(), samples.end());
    auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(samples.size())));
    return samples[rank ? rank - 1 : 0] * 1e6;
  }
};
