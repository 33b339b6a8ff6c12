# SPDX-License-Identifier: Apache-2.0
# An image with the release build and nothing else besides Debian: docker build -t weir .
# test/deploy/image.test.js compares the lists of packages with script/bootstrap and with what the program is linked with;
# test/deploy/image_replay runs all steps in a chroot of debootstrap's.
FROM debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        ca-certificates gcc libc6-dev libcrypt-dev libjansson-dev libprotobuf-c-dev libssl-dev libuv1-dev libxxhash-dev meson ninja-build \
        pkg-config protobuf-c-compiler zlib1g-dev
WORKDIR /source
COPY meson.build meson_options.txt ./
COPY client client
COPY deploy/completion deploy/completion
COPY examples examples
COPY script script
COPY src src
COPY test test
COPY ui ui
RUN script/ui-packages \
    && meson setup build --prefix=/usr/local --buildtype=debugoptimized -Db_lto=true --strip \
    && ninja -C build weir \
    && DESTDIR=/staged meson install -C build --no-rebuild

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libcrypt1 libjansson4 libprotobuf-c1 libssl3 libuv1 zlib1g \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 10001 weir \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/weir --no-create-home --shell /usr/sbin/nologin weir \
    && install -d -o weir -g weir -m 0750 /var/lib/weir
COPY --from=build /staged/usr/local/bin/ /usr/local/bin/
USER 10001:10001
WORKDIR /var/lib/weir
EXPOSE 4222 8222
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/weir"]
CMD ["serve", "--dir", "/var/lib/weir/data", "-m", "8222"]
