import Glibc
import Testing

@testable import SidecarExecutor

@Suite struct `Polls that fail` {
  let start = MonotonicInstant(nanoseconds: 0)
  let shortage = SystemError("poll", code: ENOMEM)

  @Test func `are repeated after pauses that grow up to a limit`() {
    var retry = PollRetry()
    var pauses: [Int32?] = []
    for _ in 0..<7 { pauses.append(retry.failed(shortage, at: start)) }
    #expect(pauses == [1, 2, 4, 8, 16, 16, 16])
  }

  @Test(arguments: [ENOMEM, EAGAIN, ENOBUFS]) func `are repeated as long as the shortage may pass`(code: Int32) {
    var retry = PollRetry()
    let error = SystemError("epoll_wait", code: code)
    #expect(retry.failed(error, at: start) != nil)
    #expect(retry.failed(error, at: start + PollRetry.limit - .nanoseconds(1)) != nil)
    #expect(retry.failed(error, at: start + PollRetry.limit) == nil)
  }

  @Test func `begin anew when one in between has not failed`() {
    var retry = PollRetry()
    for _ in 0..<3 { _ = retry.failed(shortage, at: start) }
    #expect(retry.isFailing)
    retry.succeeded()
    #expect(!retry.isFailing)
    #expect(retry.failed(shortage, at: start + PollRetry.limit) == 1)
  }

  @Test(arguments: [EINVAL, EBADF, EFAULT]) func `are not repeated where that is no use`(code: Int32) {
    var retry = PollRetry()
    #expect(retry.failed(SystemError("poll", code: code), at: start) == nil)
  }
}
