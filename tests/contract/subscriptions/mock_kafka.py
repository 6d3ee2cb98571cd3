"""A Kafka cluster in a process of its own: the mock that librdkafka has built in. Prints where it is, and serves until it is ended."""

import signal

from confluent_kafka import Producer


def main() -> None:
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
