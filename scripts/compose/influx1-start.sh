#!/bin/bash
# Start of the image of InfluxDB 1.x, which takes passwords from variables only.
set -euo pipefail

INFLUXDB_ADMIN_PASSWORD=$(cat /run/secrets/influx-hub)
INFLUXDB_READ_USER_PASSWORD=$(cat /run/secrets/influx-grafana-password)
export INFLUXDB_ADMIN_PASSWORD INFLUXDB_READ_USER_PASSWORD
exec /entrypoint.sh "$@"
