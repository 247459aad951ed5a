import Sidecar
import SidecarTesting

/// What becomes of URLs whose host a program that links full Foundation might read differently: one line for each.
///
/// The same lines are expected of every program, whatever else it links.
public func urlOutcomes() async throws -> [String] {
  let hosts = ["xn--bcher-kva.localhost", "bücher.localhost", "127.0.0.1", "[::1]", "a%20b.localhost", "-.localhost"]
  var lines: [String] = []
  for host in hosts { lines.append("\(host): \(try await outcome(of: host))") }
  return lines
}

/// The line for a host in punycode, which has to be accepted and sent as it is.
public let punycodeAccepted = "xn--bcher-kva.localhost: accepted as it is"

private func outcome(of host: String) async throws -> String {
  try await withTestServer(.echo) { server in
    let url = "ws://\(host):\(server.port)/"
    do throws(WebSocketError) {
      let sidecar = try await WebSocketSidecar.connect(to: url)
      await sidecar.shutdown()
    } catch {
      // Whether the name has an address is for the machine to say; the port differs from run to run.
      if case .invalidURL = error {
        return "refused: " + "\(error)".split(separator: ":\(server.port)").joined(separator: ":PORT")
      }
      return "accepted as it is"
    }
    let sent = server.connections.first?.request?.header("host") ?? "nothing"
    let isUnchanged = sent == "\(host):\(server.port)"
    return isUnchanged
      ? "accepted as it is" : "accepted as \(sent.split(separator: ":").dropLast().joined(separator: ":"))"
  }
}
