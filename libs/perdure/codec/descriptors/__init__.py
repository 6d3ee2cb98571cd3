"""Protobuf descriptors at run time: what deployments of the seed era send, and what is built here for services of today."""
