// swift-tools-version: 6.3

import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let package = Package(
  name: "sidecar",
  products: [
    .library(name: "Sidecar", targets: ["Sidecar"]),
    .library(name: "SidecarTesting", targets: ["SidecarTesting"]),
    .executable(name: "sidecar", targets: ["SidecarCLI"]),
    .executable(name: "sidecar-bench", targets: ["SidecarBench"]),
  ],
  targets: [
    // What the system provides.
    .target(name: "CSidecarSystem"),
    .target(name: "CSidecarBytes"),
    .systemLibrary(name: "CSidecarOpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CSidecarZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    // The product. The arrows point one way only: see Docs/Architecture.md.
    .target(name: "SidecarExecutor", dependencies: ["CSidecarSystem"], swiftSettings: strict),
    .target(
      name: "SidecarProtocol", dependencies: ["CSidecarBytes", "CSidecarOpenSSL", "CSidecarZlib"],
      swiftSettings: strict),
    .target(name: "SidecarTransport", dependencies: ["CSidecarSystem", "SidecarExecutor"], swiftSettings: strict),
    .target(
      name: "Sidecar",
      dependencies: ["CSidecarSystem", "SidecarExecutor", "SidecarTransport", "SidecarProtocol"],
      swiftSettings: strict),
    .target(
      name: "SidecarTesting",
      dependencies: ["SidecarExecutor", "SidecarTransport", "SidecarProtocol"],
      swiftSettings: strict),
    .executableTarget(
      name: "SidecarCLI", dependencies: ["CSidecarSystem", "Sidecar", "SidecarTesting"], swiftSettings: strict),

    // A user of the public API that measures it. Its peers are beside it in Benchmarks.
    .executableTarget(
      name: "SidecarBench", dependencies: ["Sidecar"], path: "Benchmarks/Sidecar", swiftSettings: strict),

    .target(
      name: "SidecarTestSupport", dependencies: ["SidecarExecutor"], path: "Tests/SidecarTestSupport",
      exclude: ["python.sh"], swiftSettings: strict),
    .testTarget(
      name: "SidecarExecutorTests", dependencies: ["SidecarExecutor", "SidecarTestSupport"], swiftSettings: strict),
    .testTarget(
      name: "SidecarTransportTests", dependencies: ["SidecarTransport", "SidecarExecutor", "SidecarTestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "SidecarTests", dependencies: ["Sidecar", "SidecarTesting", "SidecarTransport", "SidecarTestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "SidecarTestingTests", dependencies: ["Sidecar", "SidecarTesting", "SidecarTestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "SidecarCLITests", dependencies: ["Sidecar", "SidecarCLI", "SidecarTesting", "SidecarTestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "SidecarInteropTests", dependencies: ["Sidecar", "SidecarExecutor", "SidecarTestSupport"],
      path: "Tests/Interop",
      exclude: ["Peers"], swiftSettings: strict),
    .testTarget(name: "SidecarProtocolTests", dependencies: ["SidecarProtocol"], swiftSettings: strict),
    .testTarget(
      name: "SidecarDifferentialTests", dependencies: ["SidecarTestSupport", "SidecarProtocol"],
      path: "Tests/Differential",
      exclude: ["peer.py"], swiftSettings: strict),
    .target(
      name: "SidecarFuzzTargets", dependencies: ["SidecarProtocol"], path: "Tests/Fuzz/Targets", swiftSettings: strict),
    .testTarget(
      name: "SidecarFuzzTests", dependencies: ["SidecarFuzzTargets"], path: "Tests/Fuzz/Replay", swiftSettings: strict),
  ]
)
