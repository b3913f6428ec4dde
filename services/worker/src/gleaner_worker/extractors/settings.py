"""How values are looked for without a model. Apart from the worker's settings, for its child processes import it."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from gleaner_children import ChildLimits


class ExtractorSettings(BaseSettings):
    """The child processes that look for values without a model; memory is bounded by `children` x `memory_limit_mb`."""

    model_config = SettingsConfigDict(env_prefix="GLEANER_EXTRACTOR_", frozen=True, extra="ignore")

    children: int = Field(
        default=1, ge=1, description="Child processes that look for values, each in one document at a time."
    )
    memory_limit_mb: int = Field(
        default=1024, ge=128, description="Memory of a child that looks for values, in MiB; past it the child is ended."
    )
    document_timeout_s: float = Field(
        default=600, gt=0, description="Longest that looking for one document's values may take."
    )

    @property
    def limits(self) -> ChildLimits:
        """The limits of a child."""
        return ChildLimits(memory_mb=self.memory_limit_mb, timeout=timedelta(seconds=self.document_timeout_s))
