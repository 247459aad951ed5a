internal import Sidecar
internal import SidecarTesting

/// `sidecar serve`: the embedded echo server, for trying out clients.
enum ServeCommand {
  private enum Address: String, CaseIterable {
    case ipv4 = "127.0.0.1"
    case ipv6 = "::1"
  }

  private static let port = Option.value("port", "p", "NUMBER", "Listen on this port. Default: a free one.")
  private static let address = Option.value(
    "address", "a", "ADDRESS", "Listen on 127.0.0.1 (the default) or ::1. Other machines\ncannot connect.")

  static let syntax = CommandSyntax(
    name: "serve", operands: "", summary: "Run an echo server until Ctrl-C.",
    details: """
      Sends every message back unchanged. The first line on stdout is the server's
      URL; clients can connect once it is printed.

      This is the server that the package's own tests use. It is meant for trying
      things out on one machine. Ctrl-C and SIGTERM close all connections and stop it.
      """,
    options: [port, address])

  static func run(_ arguments: Arguments) throws -> ExitCode {
    var options = TestServer.Options()
    options.port = try arguments.number(port, in: 0...UInt16.max) ?? 0
    options.loopback = try arguments.choice(address, of: Address.self) == .ipv6 ? .ipv6 : .ipv4
    // Nothing reads the recordings.
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
    _ = signal.wait(until: .never)
    let count = server.connectionCount
    let ended = server.stop()
    Terminal.error.write("served \(count) connection\(count == 1 ? "" : "s")\n")
    return ended ? .success : .failure
  }
}
