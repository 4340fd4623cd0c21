"""The ingestion server: files are verified, stored and registered, whole or in parts; what nobody needs is removed."""
