"""Which extractors this worker has."""

from gleaner_worker.extractors.embedded import EmbeddedExtractor
from gleaner_worker.extractors.port import Extractor


def catalogue() -> dict[str, Extractor]:
    """The extractors by the name that requests call them, the default under the empty name, too."""
    extractors: list[Extractor] = [EmbeddedExtractor()]
    return {"": extractors[0]} | {extractor.name: extractor for extractor in extractors}
