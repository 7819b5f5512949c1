"""The API's resources, one file each, one short method per endpoint."""
