import Dispatch
import Glibc
import SidecarExecutor
import SidecarTestSupport
import Testing

@testable import SidecarTransport

@Suite("Resolver", .census) struct ResolverTests {
  private static let loopback = SocketAddress.loopback(port: 0)

  /// A look-up that hangs until it is let go, if its name begins with `slow`.
  private final class Gate: Sendable {
    let entered = Tally()
    let left = Tally()
    private let semaphore = DispatchSemaphore(value: 0)

    func pass() {
      entered.add()
      semaphore.wait()
      semaphore.signal()
      left.add()
    }

    func open() { semaphore.signal() }

    func resolver(capacity: Int = Resolver.capacity) -> Resolver {
      Resolver(capacity: capacity) { [self] host throws(Resolver.Failure) in
        if host.hasPrefix("slow") { pass() }
        return [loopback]
      }
    }
  }

  private func ask(_ resolver: Resolver, _ host: String) -> (Promise<Resolver.Answer>, Resolver.Request) {
    let answer = Promise<Resolver.Answer>()
    return (answer, resolver.resolve(host) { answer.complete($0) })
  }

  private func value(_ answer: Promise<Resolver.Answer>) async throws -> Resolver.Answer {
    guard case .value(let value) = await answer.value(until: .after(patience)) else { throw ConnectHarness.Missing() }
    return value
  }

  @Test func `look-ups of one name that hang cost one thread, and delay no other name's`() async throws {
    let gate = Gate()
    let resolver = gate.resolver()
    let hanging = (0..<260).map { _ in ask(resolver, "slow.invalid").0 }
    #expect(try await value(ask(resolver, "other.invalid").0) == .success([ResolverTests.loopback]))
    #expect(await eventually { () async in gate.entered.count == 1 })
    gate.open()
    for answer in hanging { #expect(try await value(answer) == .success([ResolverTests.loopback])) }
    #expect(gate.entered.count == 1)
  }

  @Test func `a name that was answered is looked up again`() async throws {
    let tally = Tally()
    let resolver = Resolver { _ in
      tally.add()
      return [ResolverTests.loopback]
    }
    for _ in 0..<2 { _ = try await value(ask(resolver, "name.invalid").0) }
    #expect(tally.count == 2)
  }

  @Test func `more names than there is room for wait for each other`() async throws {
    let gate = Gate()
    let resolver = gate.resolver(capacity: 2)
    let first = ["slow1", "slow2"].map { ask(resolver, $0).0 }
    #expect(await eventually { () async in gate.entered.count == 2 })
    let (answer, request) = ask(resolver, "third")
    let (_, withdrawn) = ask(resolver, "slow-withdrawn")
    #expect(request.isInProgress && withdrawn.isInProgress)
    withdrawn.cancel()
    #expect(!withdrawn.isInProgress, "it had not begun")
    #expect(answer.current == nil)
    gate.open()
    for answer in first + [answer] { #expect(try await value(answer) == .success([ResolverTests.loopback])) }
    #expect(gate.entered.count == 2)
  }

  @Test func `a question that is withdrawn is forgotten, although its look-up goes on`() async throws {
    final class Asker: Sendable {}
    let gate = Gate()
    let resolver = gate.resolver()
    weak var asker: Asker?
    let request: Resolver.Request
    do {
      let captured = Asker()
      asker = captured
      request = resolver.resolve("slow.invalid") { _ in
        _ = captured
        Issue.record("answered a question that was withdrawn")
      }
    }
    #expect(await eventually { () async in gate.entered.count == 1 })
    #expect(asker != nil)
    request.cancel()
    #expect(asker == nil)
    #expect(request.isInProgress)
    // The look-up that is under way serves those that ask now.
    let (answer, _) = ask(resolver, "slow.invalid")
    gate.open()
    #expect(try await value(answer) == .success([ResolverTests.loopback]))
    #expect(!request.isInProgress)
    #expect(gate.entered.count == 1)
  }

  @Test func `a look-up for which no thread can be had fails before the call returns`() async throws {
    let error = SystemError("pthread_create", code: EAGAIN)
    let threads = Locked(0)
    let resolver = Resolver(
      capacity: 1,
      startWork: { work throws(SystemError) in
        if threads.withLock({ $0 }) == 0 { throw error }
        try Resolver.startThread(work)
      }
    ) { _ in [ResolverTests.loopback] }
    #expect(error.isResourceShortage)
    for _ in 0..<3 {
      let (answer, request) = ask(resolver, "name.invalid")
      #expect(answer.current == .failure(.system(error)))
      #expect(!request.isInProgress)
    }
    threads.withLock { $0 = 1 }
    #expect(try await value(ask(resolver, "name.invalid").0) == .success([ResolverTests.loopback]))
  }

  @Test func `a name without addresses does not exist`() async throws {
    let answer = try await value(ask(Resolver { _ in [] }, "name.invalid").0)
    #expect(answer == .failure(.resolution(ResolutionError(host: "name.invalid", code: EAI_NONAME))))
  }

  @Test func `the system's resolver knows this machine`() async throws {
    let addresses = try await value(ask(.system, "localhost").0).get()
    #expect(!addresses.isEmpty)
    #expect(
      addresses.allSatisfy { $0.hasSameHost(as: .loopback(port: 1)) || $0.hasSameHost(as: .loopback(.ipv6, port: 1)) })
  }

  @Test func `a resolver without descriptors or memory blames the process and not the name`() {
    let name = ResolutionError(host: "name", code: EAI_NONAME)
    #expect(Resolver.Failure(host: "name", status: EAI_NONAME, errno: 0) == .resolution(name))
    #expect(Resolver.Failure(host: "name", status: EAI_NONAME, errno: ENOENT) == .resolution(name))
    for status in [EAI_SYSTEM, EAI_NONAME, EAI_AGAIN, EAI_FAIL] {
      #expect(
        Resolver.Failure(host: "name", status: status, errno: EMFILE)
          == .system(SystemError("getaddrinfo", code: EMFILE)))
    }
    #expect(
      Resolver.Failure(host: "name", status: EAI_MEMORY, errno: 0) == .system(SystemError("getaddrinfo", code: ENOMEM)))
  }

  @Test func `an error about a name that cannot be printed is one line`() {
    let error = ResolutionError(host: "a\u{1B}[31m\nb\u{202E}", code: EAI_NONAME)
    #expect(error.description == #"cannot resolve "a\u{1b}[31m\u{a}b\u{202e}": Name or service not known"#)
    #expect(error.host == "a\u{1B}[31m\nb\u{202E}")
  }
}
