# One target a service: docker build --target api -t ghcr.io/gleaner/gleaner-api:0.1.0 .
# Everything third-party comes from requirements.lock by hash. Plain instructions only, so that every builder builds it.
ARG PYTHON_IMAGE=python:3.12-slim

# What a build needs and no image keeps: uv, the lock of each service, the wheels of our own packages.
FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
COPY docker/uv.txt /tmp/uv.txt
RUN pip install --require-hashes -r /tmp/uv.txt
WORKDIR /src

FROM builder AS packages
COPY pyproject.toml requirements.lock ./
COPY tools/lock-of tools/
COPY libs libs
COPY services services
RUN mkdir /locks && for service in api worker bbox_worker reaper; do tools/lock-of $service >/locks/$service.txt || exit 1; done
RUN uv venv -q /tools && VIRTUAL_ENV=/tools uv pip install -q -c requirements.lock pip hatchling
# A fixed time makes the same source the same wheel (2026-01-01).
RUN SOURCE_DATE_EPOCH=1767225600 /tools/bin/python -m pip wheel -q --no-deps --no-build-isolation -w /wheels libs/* services/*

# Third-party packages by service: a layer that changes with the lock, not with our code.
FROM builder AS api-dependencies
COPY --from=packages /locks/api.txt ./
RUN uv venv -q /opt/gleaner && VIRTUAL_ENV=/opt/gleaner uv pip sync -q --require-hashes api.txt

FROM builder AS worker-dependencies
COPY --from=packages /locks/worker.txt ./
RUN uv venv -q /opt/gleaner && VIRTUAL_ENV=/opt/gleaner uv pip sync -q --require-hashes worker.txt

FROM builder AS bbox_worker-dependencies
COPY --from=packages /locks/bbox_worker.txt ./
RUN uv venv -q /opt/gleaner && VIRTUAL_ENV=/opt/gleaner uv pip sync -q --require-hashes bbox_worker.txt

FROM builder AS reaper-dependencies
COPY --from=packages /locks/reaper.txt ./
RUN uv venv -q /opt/gleaner && VIRTUAL_ENV=/opt/gleaner uv pip sync -q --require-hashes reaper.txt

# Our own packages by service, under a prefix that is laid over the layer above.
FROM api-dependencies AS api-members
COPY --from=packages /wheels /wheels
RUN pip --python /opt/gleaner/bin/python install -q --no-index --find-links /wheels --prefix /opt/members gleaner-api

FROM worker-dependencies AS worker-members
COPY --from=packages /wheels /wheels
RUN pip --python /opt/gleaner/bin/python install -q --no-index --find-links /wheels --prefix /opt/members gleaner-worker

FROM bbox_worker-dependencies AS bbox_worker-members
COPY --from=packages /wheels /wheels
RUN pip --python /opt/gleaner/bin/python install -q --no-index --find-links /wheels --prefix /opt/members gleaner-bbox-worker

FROM reaper-dependencies AS reaper-members
COPY --from=packages /wheels /wheels
RUN pip --python /opt/gleaner/bin/python install -q --no-index --find-links /wheels --prefix /opt/members gleaner-reaper

FROM ${PYTHON_IMAGE} AS runtime
ENV PATH=/opt/gleaner/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.source="https://github.com/gleaner/gleaner" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /tmp
USER 65532:65532

FROM runtime AS api
COPY --from=api-dependencies /opt/gleaner /opt/gleaner
COPY --from=api-members /opt/members /opt/gleaner
COPY docker/healthcheck.py /opt/gleaner/
ENV GLEANER_LISTEN=0.0.0.0:50051
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "/opt/gleaner/healthcheck.py"]
ENTRYPOINT ["gleaner-api"]

FROM runtime AS worker
COPY --from=worker-dependencies /opt/gleaner /opt/gleaner
COPY --from=worker-members /opt/members /opt/gleaner
COPY docker/healthcheck.py /opt/gleaner/
ENV GLEANER_LISTEN=0.0.0.0:50052
EXPOSE 50052
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "/opt/gleaner/healthcheck.py"]
ENTRYPOINT ["gleaner-worker"]

FROM runtime AS bbox_worker
COPY --from=bbox_worker-dependencies /opt/gleaner /opt/gleaner
COPY --from=bbox_worker-members /opt/members /opt/gleaner
COPY docker/healthcheck.py /opt/gleaner/
ENV GLEANER_LISTEN=0.0.0.0:50053
EXPOSE 50053
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "/opt/gleaner/healthcheck.py"]
ENTRYPOINT ["gleaner-bbox-worker"]

# One sweep, then it ends: nothing to ask for its health.
FROM runtime AS reaper
COPY --from=reaper-dependencies /opt/gleaner /opt/gleaner
COPY --from=reaper-members /opt/members /opt/gleaner
HEALTHCHECK NONE
ENTRYPOINT ["gleaner-reaper"]
