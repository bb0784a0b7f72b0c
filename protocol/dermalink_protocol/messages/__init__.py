"""Every message of the contract; importing this package makes all of them known to the envelope."""

from dermalink_protocol.messages import identity, later, owner, records, refusal, sealed, stop, telemetry, therapy

__all__ = ["identity", "later", "owner", "records", "refusal", "sealed", "stop", "telemetry", "therapy"]
