"""The stand-in providers as plugins of the official Pulumi engine: one process each, over gRPC."""
