"""The extractor that needs no model: labels, layout, types and what is known of business documents."""

from gleaner_worker.extractors.embedded.extractor import EmbeddedExtractor

__all__ = ["EmbeddedExtractor"]
