# Everything that is Python: API, workers, scheduler and the command line, in one image. The page: frontend/Dockerfile.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements-bootstrap.lock requirements.lock requirements-flower.lock ./
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
# Wheels only: nothing is compiled, so no compiler is needed, here or in what is shipped.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache \
    pip install --require-hashes --only-binary :all: -r requirements-bootstrap.lock \
    && uv venv /opt/tailwatch \
    && uv pip install --python /opt/tailwatch --require-hashes --only-binary :all: -r requirements.lock \
    # The libraries' own tests: a tenth of the image, and nothing here runs them.
    && find /opt/tailwatch -type d -name tests -path '*/site-packages/*' -prune -exec rm -r {} +

FROM build AS build-flower
RUN --mount=type=cache,target=/root/.cache \
    uv pip install --python /opt/tailwatch --require-hashes --only-binary :all: -r requirements-flower.lock

FROM ${PYTHON_IMAGE} AS base
# The numbers are the same in every image and on every host, because volumes remember numbers.
RUN groupadd --gid 10001 tailwatch \
    && useradd --uid 10001 --gid tailwatch --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tailwatch \
    && install -d -o tailwatch -g tailwatch -m 0755 /backups /run/tailwatch \
    && install -d -o tailwatch -g tailwatch -m 0750 /run/tailwatch-secrets
ENV PATH=/opt/tailwatch/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    TAILWATCH_IN_CONTAINER=1 \
    LOG_FORMAT=json
WORKDIR /app

FROM base AS flower
COPY --from=build-flower /opt/tailwatch /opt/tailwatch
COPY tailwatch tailwatch
COPY worker worker
USER 10001:10001

FROM base AS runtime
COPY --from=build /opt/tailwatch /opt/tailwatch
COPY api api
COPY scheduler scheduler
COPY tailwatch tailwatch
COPY worker worker
COPY CHANGELOG.md ./
COPY --chmod=755 deploy/docker/tailwatch deploy/docker/fresh /usr/local/bin/
# Compiled once here, because the file system is read-only where it runs.
RUN python -m compileall -q -j 0 api scheduler tailwatch worker
USER 10001:10001
EXPOSE 8080
CMD ["python", "-m", "gunicorn", "-c", "python:api.gunicorn_config", "api.wsgi:app"]
