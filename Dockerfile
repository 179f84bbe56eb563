# The package on CPUs.
#
#     docker build -t pidkd .
#     docker run --rm -v pidkd:/work pidkd train --config demo --workdir runs/demo

FROM python:3.12.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY pidkd_jax pidkd_jax
# There is no git here to ask: docker build --build-arg VERSION=0.2.0
ARG VERSION=0+unknown
RUN echo "Version: $VERSION" > PKG-INFO
RUN python -m venv /opt/pidkd && /opt/pidkd/bin/pip install --no-cache-dir '.[train]'

FROM python:3.12.12-slim-bookworm
RUN useradd --create-home --uid 1000 pidkd && install --directory --owner pidkd /work
COPY --from=build /opt/pidkd /opt/pidkd
# Data sets and compiled programs lie in the volume, as the container is lost with each start.
ENV PATH=/opt/pidkd/bin:$PATH TFDS_DATA_DIR=/work/data XDG_CACHE_HOME=/work/.cache
USER pidkd
WORKDIR /work
ENTRYPOINT ["pidkd"]
CMD ["--help"]
