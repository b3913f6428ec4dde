"""Requests as callers make them."""

from typing import Any

from gleaner.v1 import extraction_pb2, jobs_pb2, schemas_pb2
from support import pdf_bytes

PDF = pdf_bytes.a_pdf(pdf_bytes.text(72, 700, "Invoice no. 4711"))


def a_field(
    name: str = "number", type: schemas_pb2.FieldType.ValueType = schemas_pb2.FIELD_TYPE_STRING, **rest: Any
) -> schemas_pb2.Field:
    """A text field, unless told otherwise."""
    return schemas_pb2.Field(name=name, type=type, **rest)


def a_schema(*fields: schemas_pb2.Field) -> schemas_pb2.Schema:
    """A schema with one document type, `invoice`, and one group, `head`, of the fields."""
    group = schemas_pb2.FieldGroup(name="head", fields=fields or [a_field()])
    return schemas_pb2.Schema(document_types=[schemas_pb2.DocumentType(name="invoice", field_groups=[group])])


def a_request(*fields: schemas_pb2.Field, content: bytes = PDF, **rest: Any) -> extraction_pb2.ExtractionRequest:
    """A request for the fields of one small PDF."""
    request = extraction_pb2.ExtractionRequest(schema=a_schema(*fields), **rest)
    request.documents.add(name="invoice.pdf", content=content)
    return request


def a_submit(
    *fields: schemas_pb2.Field,
    content: bytes = PDF,
    options: extraction_pb2.ExtractionOptions | None = None,
    **rest: Any,
) -> jobs_pb2.SubmitJobRequest:
    """A submit of `a_request`."""
    return jobs_pb2.SubmitJobRequest(request=a_request(*fields, content=content, options=options), **rest)
