"""What the api answers: servicers that translate, call, translate."""

from gleaner_api.servicers.events import EventServicer
from gleaner_api.servicers.extraction import ExtractionServicer
from gleaner_api.servicers.jobs import JobServicer
from gleaner_api.servicers.scaler import ScalerServicer
from gleaner_api.servicers.version import VersionServicer
from gleaner_api.servicers.webhooks import WebhookServicer

__all__ = ["EventServicer", "ExtractionServicer", "JobServicer", "ScalerServicer", "VersionServicer", "WebhookServicer"]
