// swift-tools-version: 6.2

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
  ],
  targets: [
    // What the system provides.
    .target(name: "CSystem"),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    // The product. The arrows point one way only: see Docs/Architecture.md.
    .target(name: "SidecarExecutor", dependencies: ["CSystem"], swiftSettings: strict),
    .target(name: "WebSocketProtocol", dependencies: ["COpenSSL", "CSystem", "CZlib"], swiftSettings: strict),
    .target(name: "SidecarTransport", dependencies: ["CSystem", "SidecarExecutor"], swiftSettings: strict),
    .target(
      name: "Sidecar",
      dependencies: ["CSystem", "SidecarExecutor", "SidecarTransport", "WebSocketProtocol"],
      swiftSettings: strict),
    .target(
      name: "SidecarTesting",
      dependencies: ["SidecarExecutor", "SidecarTransport", "WebSocketProtocol"],
      swiftSettings: strict),
    .executableTarget(
      name: "SidecarCLI", dependencies: ["CSystem", "Sidecar", "SidecarTesting"], swiftSettings: strict),

    // A user of the public API that measures it. Its peers are beside it in Benchmarks.
    .executableTarget(
      name: "sidecar-bench", dependencies: ["Sidecar"], path: "Benchmarks/Sidecar", swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["SidecarExecutor"], path: "Tests/TestSupport",
      exclude: ["python.sh"], swiftSettings: strict),
    .testTarget(
      name: "SidecarExecutorTests", dependencies: ["SidecarExecutor", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "SidecarTests", dependencies: ["Sidecar", "SidecarTesting", "SidecarTransport", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "SidecarTestingTests", dependencies: ["Sidecar", "SidecarTesting", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "SidecarCLITests", dependencies: ["Sidecar", "SidecarCLI", "SidecarTesting", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "InteropTests", dependencies: ["Sidecar", "SidecarExecutor", "TestSupport"], path: "Tests/Interop",
      exclude: ["Peers"], swiftSettings: strict),
    .testTarget(name: "WebSocketProtocolTests", dependencies: ["WebSocketProtocol"], swiftSettings: strict),
    .testTarget(
      name: "DifferentialTests", dependencies: ["TestSupport", "WebSocketProtocol"], path: "Tests/Differential",
      exclude: ["peer.py"], swiftSettings: strict),
    .target(
      name: "FuzzTargets", dependencies: ["WebSocketProtocol"], path: "Tests/Fuzz/Targets", swiftSettings: strict),
    .testTarget(name: "FuzzTests", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Replay", swiftSettings: strict),
  ]
)
