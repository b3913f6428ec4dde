"""How documents are read: limits and children."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from gleaner_children import ChildLimits


class ReaderSettings(BaseSettings):
    """Limits of reading.

    Memory is bounded by `children` x `memory_limit_mb` beside the documents themselves, which are in memory twice
    (service and child) while they are read.
    """

    model_config = SettingsConfigDict(env_prefix="GLEANER_READER_", frozen=True, extra="ignore")

    children: int = Field(default=1, ge=1, description="Child processes that read documents, each one at a time.")
    max_document_bytes: int = Field(default=32 * 2**20, ge=1, description="Largest document that is read.")
    max_pages: int = Field(default=2000, ge=1, description="Most pages of a document.")
    max_pixels: int = Field(default=100_000_000, ge=1, description="Most pixels of an image, before it is decoded.")
    memory_limit_mb: int = Field(
        default=1536, ge=128, description="Memory of a child, in MiB; one that takes more is ended."
    )
    page_timeout_s: float = Field(default=60, gt=0, description="Longest that reading one page may take.")
    document_timeout_s: float = Field(default=900, gt=0, description="Longest that reading one document may take.")
    dpi: float = Field(default=200, gt=0, description="Resolution at which PDF pages are drawn for OCR.")
    ocr_side_limit: int = Field(
        default=2000, ge=320, description="Pixels of the longer side of a page's picture; bounds the memory of OCR."
    )
    ocr_threads: int = Field(default=2, ge=1, description="Threads of one child's OCR.")

    @property
    def limits(self) -> ChildLimits:
        """The limits of a child."""
        return ChildLimits(
            memory_mb=self.memory_limit_mb,
            timeout=timedelta(seconds=self.document_timeout_s),
            silence=timedelta(seconds=self.page_timeout_s),
            threads=self.ocr_threads,
        )
