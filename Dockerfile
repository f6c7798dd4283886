# Tidegate in a container. The image holds the locked dependencies, the package and nothing else; it runs as nobody's user.
#
#   docker build -t tidegate .
#   docker run --rm -p 127.0.0.1:8080:8080 -v "$PWD/routing.yaml:/etc/tidegate/routing.yaml:ro" tidegate

FROM python:3.12-slim-bookworm AS build
# The hot path is compiled; the compiler stays in this stage.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies first: this layer changes only with the lock. setuptools is in it, so the next step needs no network.
COPY requirements.lock ./
RUN python -m venv /opt/tidegate && \
    /opt/tidegate/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml setup.py README.md ./
COPY proxy ./proxy
RUN TIDEGATE_COMPILE=yes /opt/tidegate/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . && \
    /opt/tidegate/bin/pip uninstall --yes --quiet --disable-pip-version-check \
        mypy mypy-extensions pathspec librt ast-serialize setuptools pip

FROM python:3.12-slim-bookworm
COPY --from=build /opt/tidegate /opt/tidegate
ENV PATH=/opt/tidegate/bin:$PATH \
    PYTHONUNBUFFERED=1
# A number, so that an orchestrator can see that it is not root without reading /etc/passwd.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
# `docker stop` and an orchestrator need at least 40 s of patience: 2 s of readiness, 30 s for streams, and a margin.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["tidegate", "health", "http://127.0.0.1:9090/readyz"]
# Exec form: tidegate is process 1 and gets SIGTERM itself.
ENTRYPOINT ["tidegate"]
# Inside a container 127.0.0.1 is the container's own, so both listeners are on all of its addresses. What is reachable from
# outside is what `-p` publishes; the file says whether clients need an API key (auth: keys, or auth: none). Publish 9090 (readiness, metrics) to nobody but your monitoring.
CMD ["serve", "/etc/tidegate/routing.yaml", "--listen", "0.0.0.0:8080", "--admin", "0.0.0.0:9090"]
