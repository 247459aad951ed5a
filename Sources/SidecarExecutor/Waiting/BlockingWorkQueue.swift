internal import Dispatch

/// A worker for what may block, which is there although the application has taken all the others.
///
/// Dispatch gives its global queues, and with them the concurrency pool, about one thread for each core, and adds one a
/// second at most while those are blocked. A shutdown that needed one of them would wait for the application. A serial
/// queue is served by a thread beyond that number, and the highest class of service has such threads of its own: here
/// each piece of work gets a queue, so that no two of them wait for each other.
package enum BlockingWorkQueue {
  /// Runs `body` on a worker, soon.
  package static func run(_ body: @escaping @Sendable () -> Void) {
    DispatchQueue(label: "sidecar.spare-worker", qos: .userInteractive).async(execute: body)
  }
}
