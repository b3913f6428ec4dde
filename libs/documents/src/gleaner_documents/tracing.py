"""Spans of what children read: they make none themselves, but tell of each page, and the parent measures."""

import time

from opentelemetry import trace

from gleaner_children import Header
from gleaner_documents.pages import TextSource

_tracer = trace.get_tracer("gleaner.documents")
_MOST = 100  # pages of a document that have spans of their own


class PageSpans:
    """A span for each page that was recognised, from the page before it on. A text layer is read in no time."""

    def __init__(self) -> None:
        self._began = time.time_ns()
        self._left = _MOST

    def heard(self, note: Header) -> None:
        """A child says that it has read a page."""
        began, self._began = self._began, time.time_ns()
        if note["source"] == TextSource.OCR and self._left:
            self._left -= 1
            _tracer.start_span("recognise page", start_time=began, attributes={"gleaner.page": note["page"]}).end()
