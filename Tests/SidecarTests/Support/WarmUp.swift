import SidecarExecutor

/// Opens what Dispatch opens once and keeps, before anything is counted.
func warmUp() async {
  _ = await Promise<Void>().value(until: .after(.milliseconds(1)))
  _ = sleeper
  try? await Task.sleep(for: .milliseconds(1))
}

/// Sleeps for as long as the tests run. The concurrency runtime has a descriptor while any task sleeps, and does not
/// take a sleep back that was cancelled: without it, that descriptor would come with a cell's first sleep, and count as
/// its leak.
private let sleeper = Task.immediate { try? await Task.sleep(for: .seconds(86_400)) }
