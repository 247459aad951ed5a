import Foundation
import Logging
import ServiceLifecycle
import SidecarTesting
import SystemPackage
import URLOutcomes

/// An application in which Sidecar lives beside the packages that it may clash with. It exits with 0 if all of them work.
@main
enum Neighbour {
  static func main() async {
    do {
      try checkSystemPackage()
      try await checkNIO()
      try await checkServices()

      // Only these lines go to standard output, to be compared with those of a program without Foundation.
      let lines = try await urlOutcomes()
      for line in lines { print(line) }
      try check(lines.contains(punycodeAccepted), "a host in punycode is accepted as it is")
    } catch {
      FileHandle.standardError.write(Data("error: \(error)\n".utf8))
      exit(1)
    }
  }

  /// swift-system: writes a file and reads it back; Foundation knows the same path.
  private static func checkSystemPackage() throws {
    let name = "sidecar-neighbour-\(UUID().uuidString)"
    let path = FilePath(FileManager.default.temporaryDirectory.path).appending(name)
    let options: FileDescriptor.OpenOptions = [.create, .exclusiveCreate]
    let file = try FileDescriptor.open(path, .readWrite, options: options, permissions: .ownerReadWrite)
    defer { try? FileManager.default.removeItem(atPath: path.string) }
    try file.closeAfter {
      try file.writeAll("hello".utf8)
      let length = try withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { buffer in
        try file.read(fromAbsoluteOffset: 0, into: buffer)
      }
      try check(length == 5, "a file written by swift-system is read back")
    }
    try check(String(contentsOfFile: path.string, encoding: .utf8) == "hello", "Foundation reads the same file")
  }

  /// hummingbird, async-http-client and Sidecar as services of one group, all of which log by swift-log.
  private static func checkServices() async throws {
    let log = InMemoryLog()
    let logger = log.logger
    try await withTestServer(.echo) { server in
      let web = WebServer(logger: logger)
      let echo = EchoService(url: server.url, logger: logger)
      let driver = Driver(web: web, echo: echo)
      let group = ServiceGroup(
        configuration: ServiceGroupConfiguration(
          services: [
            .init(service: web.application),
            .init(service: echo),
            .init(service: driver, successTerminationBehavior: .gracefullyShutdownGroup),
          ],
          logger: logger))
      try await group.run()
      let end = try await server.connection(0).ended()
      try check(end.isClean, "the sidecar closed in order when the group ended")
    }
    try check(log.contains("sidecar: shutdown: clean"), "the sidecar's shutdown was clean, and was logged")
  }
}

struct CheckFailed: Error, CustomStringConvertible {
  let description: String
}

/// Throws unless `condition` holds.
func check(_ condition: Bool, _ what: String) throws {
  guard condition else { throw CheckFailed(description: "not so: \(what)") }
  FileHandle.standardError.write(Data("ok: \(what)\n".utf8))
}
