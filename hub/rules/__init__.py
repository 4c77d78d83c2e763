"""Rules: what is watched for in the points, and the pure engine that watches."""
