internal import CSidecarSystem
internal import Glibc
internal import Sidecar

/// The resources of this process, as the library and the kernel count them.
struct ProcessStats: Sendable {
  /// The name that a soak gives to its sidecars' threads.
  static let threadName = "soaked"

  let alive: LiveCounts
  let threads: Int
  /// The threads named ``threadName``.
  let sidecarThreads: Int
  /// Without timer descriptors: Dispatch opens and closes those at will, and the library uses none.
  let descriptors: Int
  let residentBytes: Int
  /// Bytes allocated and not freed. Much steadier than resident memory.
  let heapBytes: Int

  private static let timer = "anon_inode:[timerfd]"

  /// Counts everything now.
  static func take() -> ProcessStats {
    let threads = entries(of: "/proc/self/task")
    return ProcessStats(
      alive: LiveCounts.current, threads: threads.count,
      sidecarThreads: threads.count { text(of: "/proc/self/task/\($0)/comm") == threadName + "\n" },
      // Without the descriptor that lists them.
      descriptors: entries(of: "/proc/self/fd").count { target(of: "/proc/self/fd/\($0)") != timer } - 1,
      residentBytes: residentBytes, heapBytes: Int(mallinfo2().uordblks + mallinfo2().hblkhd))
  }

  /// Resident memory alone, which is cheap to read.
  static var residentBytes: Int {
    let pages = text(of: "/proc/self/statm").split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Returns freed memory to the system, so that only memory in use is resident.
  static func trimMemory() {
    malloc_trim(0)
  }

  private static func entries(of directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  /// Returns the start of a small file; empty if it cannot be read, for example because the thread has ended.
  private static func text(of path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
  }

  private static func target(of link: String) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let base = buffer.baseAddress else { return "" }
      let count = readlink(link, base, buffer.count)
      return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }
}
