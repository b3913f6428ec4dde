"""Which extractors this worker has."""

from gleaner_worker.extractors.embedded import EmbeddedExtractor
from gleaner_worker.extractors.port import Extractor
from gleaner_worker.settings import ModelSettings


def catalogue(embedded: EmbeddedExtractor, model: ModelSettings) -> dict[str, Extractor]:
    """The extractors by the name that requests call them, the default under the empty name, too.

    The one without a model is the default, whether or not there is a model.
    """
    extractors: list[Extractor] = [embedded]
    if model.name:
        # Here, for the libraries of models are more than half of what a worker loads: 2.5 s of CPU and 36 MB.
        from gleaner_worker.extractors.llm import ModelExtractor

        extractors.append(ModelExtractor(model))
    return {"": extractors[0]} | {extractor.name: extractor for extractor in extractors}
