internal import Sidecar
internal import SidecarTesting

/// `sidecar serve`: the embedded server, to try clients against.
enum ServeCommand {
  private enum Address: String, CaseIterable {
    case ipv4 = "127.0.0.1"
    case ipv6 = "::1"
  }

  private static let port = Option.value("port", "p", "NUMBER", "Listen on this port. Default: a free one.")
  private static let address = Option.value(
    "address", "a", "ADDRESS", "Listen on 127.0.0.1 (the default) or ::1; it is a server\nfor this machine only.")

  static let syntax = CommandSyntax(
    name: "serve", operands: "", summary: "Run an echo server until Ctrl-C.",
    details: """
      Sends every message back as it came. The first line on stdout is the URL of
      the server; when it is there, clients can connect.

      It is the server that the tests use, and is meant for trying things out on
      one machine. Ctrl-C and SIGTERM close its connections and end it.
      """,
    options: [port, address])

  static func run(_ arguments: Arguments) async throws -> ExitCode {
    var options = TestServer.Options()
    options.port = try arguments.number(port, in: 0...UInt16.max) ?? 0
    options.loopback = try arguments.choice(address, of: Address.self) == .ipv6 ? .ipv6 : .ipv4
    // Nobody looks at what the connections have said.
    options.recordedBytes = 0
    let signal = Promise<Void>()
    SignalHandler.onSignal { signal.complete(()) }

    let server: TestServer
    do throws(SystemError) {
      server = try TestServer(behavior: .echo, options: options)
    } catch {
      throw CommandError("cannot listen on port \(options.port): \(error.reason)")
    }
    Terminal.output.write(server.url + "\n")
    await signal.uncancellableValue()
    let count = server.connectionCount
    let ended = await server.stop()
    Terminal.error.write("served \(count) connection\(count == 1 ? "" : "s")\n")
    return ended ? .success : .failure
  }
}
