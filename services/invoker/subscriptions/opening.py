"""Which reader a subscription needs. The libraries of brokers are imported with the first subscription that needs them."""

from collections.abc import Callable, Mapping

from perdure.model.subscription import Broker, Subscription
from perdure.process.config import CommonConfig
from perdure.registry.subscriptions import OWN_CLUSTER
from services.invoker.subscriptions.source import Source, SourceFailed


def source_opener(config: CommonConfig) -> Callable[[Subscription, Mapping[str, str] | None], Source]:
    """Return what makes readers; the NATS server of the processes themselves is the cluster `own`."""
    own = {
        "url": config.nats_url,
        "user": config.nats_user,
        "password": config.nats_password,
        "credentials_file": config.nats_credentials_file,
        "tls_ca_file": config.nats_tls_ca_file,
        "tls_cert_file": config.nats_tls_cert_file,
        "tls_key_file": config.nats_tls_key_file,
    }

    def open_source(subscription: Subscription, properties: Mapping[str, str] | None) -> Source:
        if subscription.broker is Broker.NATS and subscription.cluster == OWN_CLUSTER and properties is None:
            properties = own
        if properties is None:
            raise SourceFailed(
                f"nobody has told where the cluster '{subscription.cluster}' is; register it, or name it in the configuration"
            )
        if subscription.broker is Broker.KAFKA:
            from services.invoker.subscriptions.kafka import KafkaSource

            return KafkaSource(subscription, properties)
        from services.invoker.subscriptions.jetstream import JetStreamSource

        return JetStreamSource(subscription, properties)

    return open_source
