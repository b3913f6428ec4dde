"""Calls of models, measured: how long they take, tokens, and what they cost.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from gleaner_telemetry import metrics, names


class MeasuredModel(WrapperModel):
    """A model whose calls are measured; their cost, too, if the public price list has the model."""

    def __init__(self, wrapped: Model) -> None:
        super().__init__(wrapped)
        self._labels = {names.GEN_AI_PROVIDER: wrapped.system, names.GEN_AI_MODEL: wrapped.model_name}
        self._durations = metrics.GEN_AI_DURATION.make()
        self._tokens = metrics.GEN_AI_TOKENS.make()
        self._cost = metrics.MODEL_COST.make()

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """As the wrapped model's."""
        with self._timed():
            response = await super().request(messages, model_settings, model_request_parameters)
        chat = self._labels | {names.GEN_AI_OPERATION: "chat"}
        self._tokens.record(response.usage.input_tokens, chat | {names.GEN_AI_TOKEN_TYPE: "input"})
        self._tokens.record(response.usage.output_tokens, chat | {names.GEN_AI_TOKEN_TYPE: "output"})
        if cost := _cost(response):
            self._cost.add(cost, self._labels)
        return response

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        labels = self._labels | {names.GEN_AI_OPERATION: "chat"}
        try:
            yield
        except BaseException as error:
            labels[names.ERROR_TYPE] = type(error).__name__
            raise
        finally:
            self._durations.record(time.perf_counter() - began, labels)


def _cost(response: ModelResponse) -> float:
    try:
        return float(response.cost().total_price)
    except LookupError:  # a model without a public price
        return 0
