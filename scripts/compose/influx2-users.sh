#!/bin/bash
# Run once by the image of InfluxDB 2.x, after its first set-up: an account for Grafana that may read the bucket and
# nothing else, with a password that is known beforehand (tokens of 2.x are not). Used as "Token grafana:password".
set -euo pipefail

influx v1 auth create \
  --org "$DOCKER_INFLUXDB_INIT_ORG" \
  --username grafana \
  --password "$(cat /run/secrets/influx-grafana-password)" \
  --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" >/dev/null
