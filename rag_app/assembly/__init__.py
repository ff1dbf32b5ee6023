"""Settings -> objects: which class stands behind which name."""
