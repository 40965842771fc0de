"""EC2 with a spot market that falls back (see `cluster.providers.fallback`)."""

from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

from cluster.providers.fallback import FallsBack


class FallbackAWSNodeProvider(FallsBack, AWSNodeProvider):
    """Ray's provider of EC2 nodes. EC2 may start fewer spot instances than asked for, without an error."""
