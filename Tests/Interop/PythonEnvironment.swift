import Foundation
import SidecarExecutor
import TestSupport

/// The Python environment that the peers run in, made by `setup.sh` the first time it is needed.
enum PythonEnvironment {
  /// The folder of this file, where the peers and the script are.
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()

  /// The interpreter that has the peers' packages.
  static func interpreter() async throws -> String {
    try await setup.value
    return folder.appending(path: "../../.build/interop-venv/bin/python").standardized.path(percentEncoded: false)
  }

  // Once a process. The script itself takes a lock, for several processes.
  private static let setup = Task {
    try await onThread {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments = ["bash", folder.appending(path: "setup.sh").path(percentEncoded: false)]
      process.standardInput = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      guard process.terminationStatus == 0 else {
        throw SetupError(description: "setup.sh ended with status \(process.terminationStatus); see its output above")
      }
    }
  }

  struct SetupError: Error, CustomStringConvertible {
    let description: String
  }
}
