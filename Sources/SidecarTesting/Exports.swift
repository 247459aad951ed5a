// One import is enough: messages, payloads and close codes, and the system's errors, are part of this one.
@_exported public import SidecarExecutor
@_exported public import SidecarProtocol
