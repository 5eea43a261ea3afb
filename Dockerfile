# The bridge (`bridge`, the default) and a Portos API to try it against (`simulator`), from the hashed lock: `make image`.
# Two builds from the same base give the same files, byte for byte and with the same times: see docs/image.md.
# Where a private certificate authority stands between the build and the package index, give it as a secret, which leaves no
# trace in the image: --secret id=ca,src=ca.pem
# checkov:skip=CKV_DOCKER_7: it does not look into the variable; the tag is not the latest
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PYTHON=/opt/portos-bridge/bin/python PYTHONHASHSEED=0
WORKDIR /src
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    --mount=type=bind,source=requirements-tools.lock,target=requirements-tools.lock \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
 && python -m venv --without-pip /opt/portos-bridge && python -m venv /uv \
 && /uv/bin/pip install -q --require-hashes -r requirements-tools.lock
# What the bridge needs: the lock without the extra `demo`. Pruning may only take lines away, never change one.
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml --mount=type=bind,source=requirements.lock,target=requirements.lock \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
 && cp requirements.lock /tmp/bridge.lock \
 && /uv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate pyproject.toml -o /tmp/bridge.lock \
 && tr -d '\\ ' <requirements.lock >/tmp/all && ! tr -d '\\ ' </tmp/bridge.lock | grep -vxFf /tmp/all \
 && /uv/bin/uv pip install -q --require-hashes -r /tmp/bridge.lock
COPY pyproject.toml requirements-dev.lock README.md LICENSE ./
COPY bridge bridge
COPY sinks sinks
# As a wheel and by pip, since uv notes the moment at which what it installs was made. Of bytecode, the hash of its source says that it fits, and it is
# made in one process: what several of them share out is not made twice alike.
ARG SOURCE_DATE_EPOCH=1577836800
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
 && /uv/bin/uv build -q --wheel --build-constraints requirements-dev.lock --require-hashes -o /tmp/wheel . \
 && /uv/bin/pip --python /opt/portos-bridge/bin/python install -q --no-index --no-deps --no-compile --find-links /tmp/wheel portos-bridge \
 && rm -f /opt/portos-bridge/bin/*ctivate* \
 && python -m compileall -qf --invalidation-mode unchecked-hash /opt/portos-bridge/lib \
 && install -d -o 65532 -g 65532 -m 0750 /state/portos-bridge \
 && find /opt/portos-bridge /state -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="portos-bridge" \
      org.opencontainers.image.description="Bridges the notifications of a Portos point-of-sale system (SignalR) to Kafka and MQTT" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-trixie" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/portos-bridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt /opt
# The base's own installer; the second line is where Python is Debian's.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/ensurepip /usr/local/lib/python3.*/site-packages/pip* \
           /usr/bin/pip* /usr/lib/python3*/dist-packages/pip* /usr/lib/python3.*/ensurepip
USER 65532:65532
ENTRYPOINT ["portos-bridge"]
STOPSIGNAL SIGTERM

FROM runtime AS simulator
EXPOSE 3000
CMD ["simulate", "--host", "0.0.0.0"]

# Last, so that a build without --target gives the bridge.
FROM runtime AS bridge
COPY --from=build /state /var/lib
VOLUME /var/lib/portos-bridge
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=20s --retries=3 CMD ["portos-bridge", "healthcheck"]
CMD ["run"]
