import Glibc
internal import SidecarExecutor

/// What this process holds, as the kernel counts it.
public struct ProcessCensus: Hashable, Sendable, CustomStringConvertible {
  /// Threads of this process, without the library's helper threads: the process keeps those, and how many there are
  /// depends on what it did in the last seconds.
  public var threads: Int
  /// Open descriptors of this process.
  public var descriptors: Int

  /// Counts now.
  public static func take() -> ProcessCensus {
    ProcessCensus(
      threads: entries(of: "/proc/self/task") - LiveCounters.helperThreads.value,
      // One of the entries is the descriptor that lists them.
      descriptors: entries(of: "/proc/self/fd") - 1)
  }

  /// Resident memory in bytes.
  public static func residentBytes() -> Int { memory(1) }

  /// Addresses in use, in bytes. With a sanitizer these are terabytes.
  public static func virtualBytes() -> Int { memory(0) }

  /// Runs `body` with at most `byteCount` more addresses than are in use; returns false, and does not run it, if that
  /// can't be arranged. For a process of its own.
  public static func withMemory(limitedTo byteCount: Int, _ body: () -> Void) -> Bool {
    let resource = __rlimit_resource_t(RLIMIT_AS.rawValue)
    var unlimited = rlimit()
    getrlimit(resource, &unlimited)
    var limit = unlimited
    limit.rlim_cur = rlim_t(virtualBytes() + byteCount)
    guard setrlimit(resource, &limit) == 0 else { return false }
    body()
    return setrlimit(resource, &unlimited) == 0
  }

  /// Runs `body` while the process can open no descriptor with a number of `count` or more. For a process of its own.
  public static func withDescriptors(limitedTo count: Int, _ body: () throws -> Void) rethrows {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var unlimited = rlimit()
    getrlimit(resource, &unlimited)
    var limit = unlimited
    limit.rlim_cur = rlim_t(count)
    setrlimit(resource, &limit)
    // A sanitizer needs some when the process ends.
    defer { setrlimit(resource, &unlimited) }
    try body()
  }

  private static func memory(_ field: Int) -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 256)
    fgets(&text, 256, file)
    let fields = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(
      separator: " ")
    return (Int(fields[field]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// How many mappings of this process have the size of a thread's stack.
  public static func threadStacks() -> Int {
    // What the C library takes for a thread's stack unless it is told otherwise.
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limit)
    let size = Int(clamping: limit.rlim_cur)
    guard let file = fopen("/proc/self/maps", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 512)
    var count = 0
    while fgets(&line, 512, file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      let range = text.prefix { $0 != " " }.split(separator: "-").compactMap { UInt(String($0), radix: 16) }
      if range.count == 2, text.contains("rw-p"), abs(Int(range[1] - range[0]) - size) < 65_536 { count += 1 }
    }
    return count
  }

  /// Both counts, in one line.
  public var description: String { "\(threads) threads, \(descriptors) descriptors" }

  private static func entries(of directory: String) -> Int {
    guard let stream = opendir(directory) else { return 0 }
    defer { closedir(stream) }
    var count = 0
    while let entry = readdir(stream) {
      if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
    }
    return count
  }
}
