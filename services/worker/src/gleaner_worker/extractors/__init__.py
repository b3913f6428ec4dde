"""What finds values on pages: one port, and who answers it."""

from gleaner_worker.extractors.port import Extraction, Extractor

__all__ = ["Extraction", "Extractor"]
