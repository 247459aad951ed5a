import Testing
@Test func `the raw identifier style compiles`() {}
