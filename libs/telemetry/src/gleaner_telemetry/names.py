"""Names of what the suite measures: semantic conventions where there are some, `gleaner.*` where there are none.

https://opentelemetry.io/docs/specs/semconv/rpc/ (stable names, 2026).
"""

from typing import Final

RPC_SERVER_DURATION: Final = "rpc.server.call.duration"
RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"

JOB: Final = "gleaner.job"
TENANT: Final = "gleaner.tenant"
ATTEMPT: Final = "gleaner.attempt"
LEG: Final = "gleaner.leg"

MOVE: Final = "gleaner.move"
CLAIMS: Final = "gleaner.claims"
POLLS: Final = "gleaner.polls"
RUN_DURATION: Final = "gleaner.run.duration"
RENEWALS: Final = "gleaner.lease.renewals"
RESCUES: Final = "gleaner.lease.rescues"
LOST_RACES: Final = "gleaner.lost_races"

OFFERS: Final = "gleaner.offers"
OFFER_OUTCOME: Final = "gleaner.offer.outcome"

DELIVERIES: Final = "gleaner.webhook.tries"
DELIVERY_AGE: Final = "gleaner.webhook.delivery.age"
DELIVERY_DURATION: Final = "gleaner.webhook.try.duration"
OUTCOME: Final = "gleaner.outcome"

# The conventions' buckets for durations of calls, in seconds.
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
