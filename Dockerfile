# The bridge (`bridge`, the default) and a Portos API to try it against (`simulator`), from the hashed lock.
#   docker build -t portos-bridge .
# Where a private certificate authority stands between the build and the package index, give it as a secret, which leaves no
# trace in the image: --secret id=ca,src=ca.pem
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PYTHON=/opt/portos-bridge/bin/python
WORKDIR /src
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
 && python -m venv --without-pip /opt/portos-bridge && python -m venv /opt/uv && /opt/uv/bin/pip install -q uv==0.13.9
# What the bridge needs: the lock without the extra `demo`. Pruning may only take lines away, never change one.
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml --mount=type=bind,source=requirements.lock,target=requirements.lock \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
 && cp requirements.lock /tmp/bridge.lock \
 && /opt/uv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml -o /tmp/bridge.lock \
 && tr -d '\\ ' <requirements.lock >/tmp/all && ! tr -d '\\ ' </tmp/bridge.lock | grep -vxFf /tmp/all \
 && /opt/uv/bin/uv pip install -q --require-hashes -r /tmp/bridge.lock
COPY pyproject.toml requirements-dev.lock README.md LICENSE ./
COPY bridge bridge
COPY sinks sinks
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
 && /opt/uv/bin/uv pip install -q --no-deps --build-constraints requirements-dev.lock . \
 && install -d -o 65532 -g 65532 -m 0750 /state

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="portos-bridge" \
      org.opencontainers.image.description="Bridges the notifications of a Portos point-of-sale system (SignalR) to Kafka and MQTT" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/portos-bridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/portos-bridge /opt/portos-bridge
USER 65532:65532
ENTRYPOINT ["portos-bridge"]
STOPSIGNAL SIGTERM

FROM runtime AS simulator
EXPOSE 3000
CMD ["simulate", "--host", "0.0.0.0"]

# Last, so that a build without --target gives the bridge.
FROM runtime AS bridge
COPY --from=build --chown=65532:65532 /state /var/lib/portos-bridge
VOLUME /var/lib/portos-bridge
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=20s --retries=3 CMD ["portos-bridge", "healthcheck"]
CMD ["run"]
