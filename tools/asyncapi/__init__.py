"""The parts of protoc-gen-asyncapi."""
