"""Names of the attributes of spans and metrics: semantic conventions where there are some, `gleaner.*` where there are
none. The metrics themselves: `metrics`.

https://opentelemetry.io/docs/specs/semconv/rpc/ (stable names, 2026), …/database/, …/gen-ai/.
"""

from typing import Final

RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"

DB_SYSTEM: Final = "db.system.name"
DB_SUMMARY: Final = "db.query.summary"
DB_STATE: Final = "db.client.connection.state"
DATABASE: Final = "db.namespace"

GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_MODEL: Final = "gen_ai.request.model"
GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - no password

JOB: Final = "gleaner.job"
TENANT: Final = "gleaner.tenant"
ATTEMPT: Final = "gleaner.attempt"
LEG: Final = "gleaner.leg"
LAPSES: Final = "gleaner.lapses"
SERIES: Final = "gleaner.series"
PAGES: Final = "gleaner.pages"
OCR_PAGES: Final = "gleaner.ocr_pages"

SYSTEM: Final = "messaging.system"
DESTINATION: Final = "messaging.destination.name"
MESSAGE: Final = "messaging.message.id"
BATCH: Final = "messaging.batch.message_count"
OPERATION: Final = "messaging.operation.type"
OPERATION_NAME: Final = "messaging.operation.name"

MOVE: Final = "gleaner.move"
OUTCOME: Final = "gleaner.outcome"
FOUND: Final = "gleaner.found"
ANSWER: Final = "gleaner.answer"
OFFER_OUTCOME: Final = "gleaner.offer.outcome"
QUEUE_STATE: Final = "gleaner.queue.state"
SLOT_STATE: Final = "gleaner.slot.state"
TEXT_SOURCE: Final = "gleaner.text_source"
CHILD_WORK: Final = "gleaner.child.work"
CHILD_STATE: Final = "gleaner.child.state"
ORPHANS: Final = "gleaner.orphans"
GROUP: Final = "gleaner.group"
APPLICATION: Final = "gleaner.application"
SESSION_STATE: Final = "gleaner.session.state"
