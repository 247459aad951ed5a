import SidecarExecutor
import Testing

@Suite struct `Monotonic instants` {
  let start = MonotonicInstant.now

  @Test func `what is added can be taken away again, to the nanosecond`() {
    for duration in [
      Duration.zero, .nanoseconds(1), .milliseconds(100), .seconds(3), .seconds(86_400) + .nanoseconds(7),
    ] {
      #expect(start + duration - duration == start)
      #expect(start.duration(to: start + duration) == duration)
      #expect((start + duration).duration(to: start) == .zero - duration)
    }
  }

  @Test func `a fraction of a nanosecond is rounded up, so that no wait ends before its time`() {
    let fraction = Duration(secondsComponent: 0, attosecondsComponent: 1)
    #expect(start + fraction == start + .nanoseconds(1))
    #expect(start - fraction == start)
    // In 64 bits, and beyond.
    let most = Int64.max % 1_000_000_000_000_000_000
    for (part, expected) in [(0, 9_000_000_000), (1, 9_000_000_001), (most, 9_223_372_037), (most + 1, 9_223_372_037)] {
      let duration = Duration(secondsComponent: 9, attosecondsComponent: part)
      #expect(duration.wholeNanoseconds == expected)
      #expect((duration + .seconds(100)).wholeNanoseconds == expected + 100_000_000_000)
    }
    #expect((Duration.seconds(-1) - .nanoseconds(5)).wholeNanoseconds == -1_000_000_005)
  }

  @Test func `centuries end at the last instant there is, and not in an overflow`() {
    let (last, first) = (MonotonicInstant(nanoseconds: .max), MonotonicInstant(nanoseconds: .min))
    #expect(start + .seconds(Int64.max) == last)
    #expect(last + .seconds(1) == last)
    #expect(first - .seconds(1) == first)
    // What `Duration` itself can hold is far more than its seconds as an `Int64`.
    for farthest in [Duration.seconds(Int64.max) * 2, Duration(attoseconds: .max)] {
      #expect(start + farthest == last && last + farthest == last)
      #expect(start - farthest <= start - .nanoseconds(Int64.max) && first - farthest == first)
      #expect(Deadline.after(farthest).instant == last)
      #expect(farthest.wholeNanoseconds == .max && farthest.pollMilliseconds == .max)
    }
    for farthest in [Duration.seconds(Int64.min) * 2, Duration(attoseconds: .min)] {
      #expect(start + farthest <= start + .nanoseconds(Int64.min) && first + farthest == first)
      #expect(start - farthest == last && last - farthest == last)
      #expect(Deadline.after(farthest).hasPassed)
      #expect(farthest.wholeNanoseconds == .min)
    }
    #expect(first.duration(to: last) == .nanoseconds(Int64.max))
    #expect(last.duration(to: first) == .nanoseconds(Int64.min))
  }

  @Test func `time goes on, and no faster than other clocks say`() {
    let (other, begin) = (ContinuousClock.now, MonotonicInstant.now)
    let elapsed = begin.duration(to: .now)
    #expect(elapsed >= .zero)
    #expect(elapsed <= ContinuousClock.now - other)
  }
}
