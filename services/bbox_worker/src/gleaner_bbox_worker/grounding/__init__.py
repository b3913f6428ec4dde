"""Where on the pages the values of a result stand: a pure algorithm, without I/O."""

from gleaner_bbox_worker.grounding.ground import ground

__all__ = ["ground"]
