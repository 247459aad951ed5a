import Glibc

/// What tests want to know of the process's environment.
public enum ProcessInfoLite {
  public static func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }
}
