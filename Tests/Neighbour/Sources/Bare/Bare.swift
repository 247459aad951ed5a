import URLOutcomes

/// Prints what becomes of URLs in a program that uses Sidecar alone.
@main
enum Bare {
  static func main() async throws {
    for line in try await urlOutcomes() { print(line) }
  }
}
