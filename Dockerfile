# One image with `api` and `worker`. Without a command it runs the api:
#     docker build --build-arg GIT_COMMIT="$(git rev-parse --short=12 HEAD)" --tag partner-keys .
#     docker run partner-keys            docker run partner-keys worker
#     docker run partner-keys api migrate
# For a mirror, or to pin the images by digest, give other images: --build-arg BUILD_IMAGE=… BASE_IMAGE=…
ARG BUILD_IMAGE=docker.io/library/rust:1.95-slim-trixie
ARG BASE_IMAGE=docker.io/library/debian:trixie-slim

# hadolint ignore=DL3006
FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
# There is no repository in the build, and `--version` names the commit.
ARG GIT_COMMIT="unknown commit"
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin api --bin worker \
    && install -D --target-directory=/out target/release/api target/release/worker

# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
# Svix and the identity provider are called over TLS. A fixed version of the package would be a
# list of CAs that nobody updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log
COPY --from=build /out/ /usr/local/bin/

ARG GIT_COMMIT="unknown commit"
ARG VERSION="unknown"
LABEL org.opencontainers.image.title="partner-keys" \
      org.opencontainers.image.description="Partner API keys, and webhooks through Svix" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${GIT_COMMIT}"

# A number, so that Kubernetes can see that it is not root. No user of that name is needed.
USER 65532:65532
WORKDIR /
# A container's own 127.0.0.1, the default, is of no use.
ENV LISTEN_ADDR=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# Both programs handle signals themselves, so they may be process 1. They write no file.
CMD ["api"]
