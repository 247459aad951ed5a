internal import Foundation

/// The Python environment that the tests' peers run in, made by `python.sh` the first time it is needed.
public enum PythonEnvironment {
  /// The interpreter that has the peers' packages. The first call of a machine installs them; all of them block.
  public static func interpreter() throws -> String {
    try setup.get()
    return folder.appending(path: "../../.build/test-venv/bin/python").standardized.path(percentEncoded: false)
  }

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()

  // Once a process. The script itself takes a lock, for several processes.
  private static let setup = Result<Void, any Error> {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["bash", folder.appending(path: "python.sh").path(percentEncoded: false)]
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw SetupError(description: "python.sh ended with status \(process.terminationStatus); see its output above")
    }
  }

  private struct SetupError: Error, CustomStringConvertible {
    let description: String
  }
}
