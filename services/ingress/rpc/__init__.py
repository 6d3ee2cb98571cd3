"""gRPC, gRPC-Web, Connect and the seed era's JSON at the ingress. Imported with the first such request: protobuf costs 6 MB."""
