"""Ray's node providers of the three clouds, with a spot market that falls back to on-demand.

Under `provider` in a YAML: `type: external`, `module: cluster.providers.aws.FallbackAWSNodeProvider`.
"""
