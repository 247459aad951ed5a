import Glibc

/// What this process holds, as the kernel counts it.
public struct ProcessCensus: Hashable, Sendable, CustomStringConvertible {
  /// Threads of this process.
  public var threads: Int
  /// Open descriptors of this process.
  public var descriptors: Int

  /// Counts now.
  public static func take() -> ProcessCensus {
    ProcessCensus(
      threads: entries(of: "/proc/self/task"),
      // One of the entries is the descriptor that lists them.
      descriptors: entries(of: "/proc/self/fd") - 1)
  }

  /// Resident memory in bytes.
  public static func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var text = [CChar](repeating: 0, count: 256)
    fgets(&text, 256, file)
    let fields = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(
      separator: " ")
    return (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
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
