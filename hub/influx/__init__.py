"""Provisioning of InfluxDB, and the move of the embedded store's data into it; what ``iothub influx`` does."""
