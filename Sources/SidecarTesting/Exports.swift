// One import is enough: what users see of the targets below is part of this one.
@_exported public import SidecarExecutor
@_exported public import SidecarTransport
@_exported public import SidecarProtocol
