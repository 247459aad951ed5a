// swift-tools-version: 6.3

// A package of its own: Sidecar has no package dependencies, and its neighbours in an application must not clash with it.

import PackageDescription

let package = Package(
  name: "neighbour",
  dependencies: [
    // Named, because a clone of this repository may be in a folder of any name.
    .package(name: "sidecar", path: "../.."),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // An application that uses all of them, and full Foundation.
    .executableTarget(
      name: "Neighbour",
      dependencies: [
        "URLOutcomes",
        .product(name: "Sidecar", package: "sidecar"),
        .product(name: "SidecarTesting", package: "sidecar"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "InMemoryLogging", package: "swift-log"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ]),
    // An application that uses Sidecar alone, for comparison.
    .executableTarget(name: "Bare", dependencies: ["URLOutcomes"]),
    // What becomes of each URL; compiled without Foundation, and linked into both.
    .target(
      name: "URLOutcomes",
      dependencies: [
        .product(name: "Sidecar", package: "sidecar"),
        .product(name: "SidecarTesting", package: "sidecar"),
      ]),
  ]
)
