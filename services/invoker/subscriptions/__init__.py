"""Subscriptions: records of Kafka topics and JetStream streams become invocations, each exactly once."""
