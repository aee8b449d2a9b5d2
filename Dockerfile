# Keepwarm as an image: the pinned, hashed requirements, the packages, a user of its own.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements/tools.txt requirements/runtime.txt requirements/runtime.in requirements/
RUN python -m venv /opt/keepwarm \
 && /opt/keepwarm/bin/pip install --no-cache-dir --require-hashes -r requirements/tools.txt \
 && /opt/keepwarm/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md ./
COPY domain domain
COPY store store
COPY collector collector
COPY compliance compliance
COPY dashboard dashboard
COPY simulators simulators
COPY keepwarm keepwarm
# The rules are compiled to machine code here, half a minute of work, and go into a volume: at run time the root is read-only, where
# numba would use no code of its own (it wants to write beside it), and compile at every start.
RUN /opt/keepwarm/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index . \
 && cd / && NUMBA_CACHE_DIR=/var/cache/keepwarm /opt/keepwarm/bin/python -m compliance.warm

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/keepwarm /opt/keepwarm
COPY --from=build --chown=10001:10001 /var/cache/keepwarm /var/cache/keepwarm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin keepwarm && install -d -o keepwarm -g keepwarm /data /backup
ENV PATH=/opt/keepwarm/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/var/cache/keepwarm HOME=/tmp
USER keepwarm
ENTRYPOINT ["keepwarm"]
CMD ["--help"]
