# kinglet's image: one static binary, the certificates to trust and the time
# zones, run by nobody in particular.
#
# There is no folder /etc/kinglet/conf in it, on purpose: kinglet reads
# /etc/kinglet/conf if something is mounted there, else /etc/categraf/conf, so a
# Categraf DaemonSet whose image alone is changed keeps its mounts. For those
# that spell out Categraf's command, /usr/bin/categraf is kinglet too.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION=dev
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=$VERSION" -o /image/kinglet ./cmd/kinglet \
 && mkdir -p /image/usr/bin /image/etc/ssl/certs \
 && ln -s /kinglet /image/usr/bin/categraf \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && cp "$(go env GOROOT)/lib/time/zoneinfo.zip" /image/zoneinfo.zip

FROM scratch
COPY --from=build /image/ /
# TZ is the clock of logs and of --test.
ENV ZONEINFO=/zoneinfo.zip
USER 65532:65532
ENTRYPOINT ["/kinglet"]
