import Glibc

/// What tests want to know of the process's environment.
public enum ProcessInfoLite {
  /// The value of a variable of the environment; nil if it is not set.
  public static func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }
}
