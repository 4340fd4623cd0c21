"""The parts of protoc-gen-openapi."""
