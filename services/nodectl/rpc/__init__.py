"""The gRPC surface: health, reflection, and what restatectl and clients of the seed era ask."""
