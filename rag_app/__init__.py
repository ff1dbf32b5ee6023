"""The application: settings, assembly, ingestion, the question pipeline."""
